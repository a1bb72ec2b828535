#include "tests/sim/pool/sim_control.h"

namespace posthorse::sim::pool {
namespace {

using namespace std::chrono_literals;

constexpr Duration tick_every = 50ms;
constexpr Duration look_again = 20ms;

}  // namespace

SimControl::SimControl(Ports ports, ControlCore::Settings settings)
    : ports_(std::move(ports)), core_(ports_.record, std::move(settings), [this] {
          return ports_.process.world().random();
      }) {}

void SimControl::lose_power_or_not() {
    if (writing_ && ports_.process.world().chance(50)) ports_.record = *writing_;
}

template <class Event>
void SimControl::step(Event event) {
    if (ended_) return;
    ControlEffects effects;
    event(ports_.clock.boot(), effects);
    carry_out(std::move(effects));
}

// ------------------------------------------------------------------ events in

void SimControl::start(Completion<PoolState> done) {
    started_ = std::move(done);
    step([&](BootTime now, ControlEffects& out) { core_.start(now, out); });
    tick();
}

void SimControl::tick() {
    ports_.process.after(tick_every, [this] {
        step([&](BootTime now, ControlEffects& out) { core_.tick(now, out); });
        if (!ended_) tick();
    });
}

void SimControl::receive(const replication::Outgoing& message) {
    step([&](BootTime now, ControlEffects& out) {
        core_.receive(message.header, message.message, now, out);
    });
}

bool SimControl::accepts(const replication::Header& header) const {
    return !ended_ && core_.judge(header, ports_.clock.boot()) == replication::Refusal::none;
}

void SimControl::propose(replication::Change change, Completion<> done) {
    if (ended_) return done(Error{Errc::unavailable, "this node stops"});
    ControlEffects effects;
    const auto request = core_.propose(std::move(change), ports_.clock.boot(), effects);
    asked_.emplace(request, std::move(done));
    carry_out(std::move(effects));
}

void SimControl::leave(Completion<> done) {
    if (ended_) return done({});
    left_ = std::move(done);
    step([&](BootTime now, ControlEffects& out) { core_.leave(now, out); });
}

// ------------------------------------------------------------------ effects out

void SimControl::carry_out(ControlEffects effects) {
    effects_.push_back(std::move(effects));
    if (std::exchange(carrying_out_, true)) return;
    while (!effects_.empty()) {
        auto next = std::move(effects_.front());
        effects_.pop_front();
        carry_out_one(std::move(next));
    }
    carrying_out_ = false;
}

void SimControl::carry_out_one(ControlEffects effects) {
    ports_.stepped();
    if (effects.changed && changed_) changed_(core_.acting());
    core_.acted_on(core_.acting().version);
    for (const auto& notice : effects.notices) ports_.notice(notice.event + ": " + notice.what);
    if (!effects.stranger.empty()) {
        end();
        return ports_.stranger(effects.stranger);
    }
    if (effects.write) write(*std::move(effects.write));
    for (auto& message : effects.sends) ports_.send(std::move(message));
    if (effects.look) look();
    if (effects.probe) probe();
    for (auto& answer : effects.answers) {
        auto asked = asked_.extract(answer.request);
        if (asked.empty()) continue;
        asked.mapped()(answer.error ? Result<void>(*answer.error) : Result<void>());
    }
    if (started_ && core_.running()) std::exchange(started_, {})(core_.acting());
    if (effects.left && left_) std::exchange(left_, {})({});
}

void SimControl::write(ControlRecord record) {
    PH_ASSERT(!writing_);
    writing_ = std::move(record);
    const auto& disk = ports_.disk;
    ports_.process.after(1ms + ports_.process.world().between(disk.least, disk.most),
                         [this] { written(); });
}

void SimControl::written() {
    if (ports_.disk.hangs) return ports_.process.after(look_again, [this] { written(); });
    ports_.record = *std::move(writing_);
    writing_.reset();
    step([&](BootTime now, ControlEffects& out) { core_.written(now, out); });
}

void SimControl::look() {
    ports_.process.after(ports_.process.world().between(2ms, 60ms),
                         [this] { core_.found(ports_.look(), true); });
}

void SimControl::probe() {
    ports_.probe([this](const Result<void>& synced) {
        if (!synced) return;  // a store that failed: the lease ends
        step([&](BootTime now, ControlEffects& out) { core_.probed(now, out); });
    });
}

void SimControl::end() {
    ended_ = true;
    for (auto& [request, done] : std::exchange(asked_, {}))
        done(Error{Errc::unknown, "this node ended before the pool answered"});
}

}  // namespace posthorse::sim::pool
