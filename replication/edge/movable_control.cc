#include "replication/edge/movable_control.h"

namespace posthorse::replication {
namespace {

// Longer than elections take.
constexpr Duration leaderless_for_long = std::chrono::seconds{1};
constexpr Duration look_every = std::chrono::seconds{1};

}  // namespace

Result<std::unique_ptr<MovableControl>> MovableControl::open(Makers makers,
                                                             Executor& home,
                                                             const Clock& clock) {
    std::unique_ptr<MovableControl> control(new MovableControl(std::move(makers), home, clock));
    auto first = control->makers_.from_disk();
    if (!first) return first.error();
    control->now_ = *std::move(first);
    return control;
}

// ------------------------------------------------------------------ what is asked

void MovableControl::start(Completion<PoolState> done) {
    started_ = std::move(done);
    began_ = true;
    begin();
}

void MovableControl::begin() {
    now_->watch([this](const PoolState& state) {
        if (changed_) changed_(state);
    });
    now_->start([this](Result<PoolState> live) {
        if (started_) std::exchange(started_, {})(std::move(live));
    });
}

void MovableControl::watch(UniqueFunction<void(const PoolState&)> changed) {
    changed_ = std::move(changed);
}

// Whoever asks for the move hears of it from the side where it ends.
void MovableControl::propose(Change change, Completion<> done) {
    const auto* set = std::get_if<SetControl>(&change);
    if (set == nullptr) return now_->propose(std::move(change), std::move(done));
    const auto shared = std::make_shared<Completion<>>(std::move(done));
    moves_.push_back({set->control, shared});
    now_->propose(std::move(change), [shared](Result<void> result) {
        if (*shared) std::exchange(*shared, {})(std::move(result));
    });
    std::erase_if(moves_, [](const Move& move) { return !*move.done; });
}

void MovableControl::leave(Completion<> done) {
    left_ = std::move(done);
    now_->leave([this](Result<void> result) {
        if (left_) std::exchange(left_, {})(std::move(result));
    });
}

// ------------------------------------------------------------------ moving

// It is said from within the one that is left: that one ends in a step of its own.
void MovableControl::moved(PoolControl to, Passed passed) {
    if (std::exchange(moving_, true)) {
        next_ = {to, std::move(passed)};
        return;
    }
    home_.post(
        [this, to, passed = std::move(passed), alive = std::weak_ptr<char>(alive_)]() mutable {
            if (!alive.expired()) take_over(to, std::move(passed));
        });
}

void MovableControl::take_over(PoolControl to, Passed passed) {
    auto next = makers_.go_on(to, std::move(passed));
    if (!next) return makers_.failed(next.error());
    before_ = std::exchange(now_, *std::move(next));
    retire();
    leaderless_since_.reset();
    makers_.notice({"control_plane_moved", std::string("the pool is on ") + to_string(to)});
    if (began_) begin();
    for (const auto& move : std::exchange(moves_, {})) {
        if (move.to == to && *move.done) std::exchange(*move.done, {})({});
    }
    if (left_) leave(std::exchange(left_, {}));
}

// Until the one that was left has ended, there is no other move.
void MovableControl::retire() {
    before_->stop([this, alive = std::weak_ptr<char>(alive_)] {
        home_.post([this, alive] {
            if (alive.expired()) return;
            before_.reset();
            moving_ = false;
            if (stopped_) return stop(std::exchange(stopped_, {}));
            if (auto next = std::exchange(next_, {})) moved(next->to, std::move(next->passed));
        });
    });
}

void MovableControl::stop(UniqueFunction<void()> done) {
    if (before_) {
        stopped_ = std::move(done);
        return;
    }
    now_->stop(std::move(done));
}

// ------------------------------------------------------------------ a move that was missed

void MovableControl::tick() {
    now_->tick();
    look();
}

bool MovableControl::may_have_missed_a_move() const {
    const auto status = now_->status();
    return status.control == PoolControl::embedded && !status.leader;
}

void MovableControl::look() {
    if (!makers_.look_on_etcd || moving_) return;
    const auto now = clock_.boot();
    if (!may_have_missed_a_move()) return leaderless_since_.reset();
    if (!leaderless_since_) leaderless_since_ = now;
    if (now - *leaderless_since_ < leaderless_for_long || now < next_look_) return;
    next_look_ = now + look_every;
    makers_.look_on_etcd([this, alive = std::weak_ptr<char>(alive_)](const Value& on_etcd) {
        if (!alive.expired()) found(on_etcd);
    });
}

void MovableControl::found(const Value& on_etcd) {
    if (!on_etcd || moving_ || !may_have_missed_a_move()) return;
    auto passed = now_->passed();
    const auto& known = passed.record.agreement.accepted.value;
    if (known && went_to_etcd(*known, *on_etcd)) moved(PoolControl::etcd, std::move(passed));
}

}  // namespace posthorse::replication
