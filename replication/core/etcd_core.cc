#include "replication/core/etcd_core.h"

#include "proto/types/assert.h"
#include "replication/core/control_move.h"

namespace posthorse::replication {
namespace {

constexpr Duration read_every = std::chrono::milliseconds{500};
constexpr Duration wait_every = std::chrono::seconds{1};
constexpr Duration patience_for_answers = std::chrono::seconds{10};

const PoolState nothing_known;

}  // namespace

EtcdCore::EtcdCore(ControlRecord record, Settings settings, UniqueFunction<std::uint64_t()> random)
    : settings_(std::move(settings)),
      random_(std::move(random)),
      record_(std::move(record)),
      gate_(record_),
      duties_(settings_.pool.copies) {}

// ------------------------------------------------------------------ lifecycle

void EtcdCore::start(BootTime now, Effects& out) {
    if (!value()) {
        record_.pool_id.clear();
        record_.pool_incarnation = 0;
        record_.marks.clear();
    } else {
        view_.expect(*value(), now);
    }
    begin_incarnation();
    read_due_ = true;
    next_read_ = now;
    settle(now, out);
}

void EtcdCore::go_on(const Lease& lease, BootTime now, Effects& out) {
    PH_ASSERT(value());
    lease_ = lease;
    own_.insert(record_.incarnation);
    running_before_ = value()->is_live(record_.self, record_.incarnation);
    view_.expect(*value(), now);
    read_due_ = true;
    next_read_ = now;
    refresh_acting(out);
    settle(now, out);
}

void EtcdCore::begin_incarnation() {
    record_.incarnation = {record_.incarnation.counter + 1, random_()};
    own_.insert(record_.incarnation);
    lease_.begin(record_.incarnation);
    running_ = running_before_ = false;
}

// After a value was taken: is this incarnation over, or was it never this node's?
void EtcdCore::judge_incarnation(Effects& out) {
    const auto* own = value()->member(record_.self);
    if (own == nullptr) {
        if (running_before_ && !leaving_) begin_incarnation();
        return;
    }
    if (own->incarnation == record_.incarnation) {
        running_before_ = true;
        if (own->live || leaving_) return;
        out.notices.push_back({"incarnation_ended", "the pool went on without this node"});
        return begin_incarnation();
    }
    if (own->incarnation.counter >= record_.incarnation.counter)
        estrange("the pool knows another start of this node, with the same number or a later one",
                 out);
}

void EtcdCore::estrange(const std::string& why, Effects& out) {
    if (estranged_) return;
    estranged_ = true;
    refresh_acting(out);
    out.stranger = why;
}

// To stop, a value that was heard of suffices; to start, it must be on the disk.
void EtcdCore::refresh_acting(Effects& out) {
    auto next = acting_of(gate_.on_disk().agreement.accepted.value, value(), record_.self,
                          record_.incarnation, estranged_ || leaving_);
    running_ = next.running;
    if (next.state == acting_) return;
    acting_ = std::move(next.state);
    out.changed = true;
}

bool EtcdCore::lease_live(BootTime now, Duration margin) const {
    return running_ && lease_.live(now, margin);
}

const PoolState& EtcdCore::committed() const noexcept {
    return value() ? *value() : nothing_known;
}

void EtcdCore::leave(BootTime now, Effects& out) {
    leaving_ = true;
    refresh_acting(out);  // it stops owning before it asks
    if (!step_ && !is_member()) finish_leaving(out);
    settle(now, out);
}

bool EtcdCore::is_member() const {
    return value() && value()->member(record_.self) != nullptr;
}

// The value that was taken is the last one here: nothing is asked of etcd any more. What was asked
// for and is not in it is not done.
void EtcdCore::go_back() {
    gone_ = true;
    record_.agreement = agreement_after_etcd(value(), record_.agreement);
    record_.marks.clear();
    for (const auto& asked : std::exchange(asked_, {})) {
        answers_.push_back(
            {asked.request, Error{Errc::unavailable, "the pool moves to another control plane"}});
    }
}

std::optional<PoolControl> EtcdCore::gone_to() const {
    if (!gone_ || estranged_ || gate_.on_disk() != record_) return std::nullopt;
    return PoolControl::embedded;
}

void EtcdCore::finish_leaving(Effects& out) {
    if (std::exchange(left_, true)) return;
    for (const auto& partition : committed().partitions) {
        if (partition.holds(record_.self)) left_with_.push_back(partition.id);
    }
    out.left = true;
}

// ------------------------------------------------------------------ what is heard

void EtcdCore::read(EtcdSnapshot snapshot, BootTime now, Effects& out) {
    if (estranged_ || left_) return;
    reading_ = read_due_ = false;
    if (!std::exchange(unreached_, {}).empty())
        out.notices.push_back({"etcd_reached", "etcd answers again"});
    take(std::move(snapshot), read_at_, now, out);
    settle(now, out);
}

void EtcdCore::take(EtcdSnapshot snapshot, Revision asked_at, BootTime now, Effects& out) {
    if (!view_.take(std::move(snapshot), asked_at, now)) {
        pool_changed_ = {};
        out.notices.push_back({"etcd_went_back", "etcd was put back to an old state"});
    }
    if (!view_.watched()) {
        out.watch_from = Revision{view_.revision().value + 1};
        view_.watching(now);
    }
    look(now, out);
}

void EtcdCore::read_failed(std::string why, BootTime now, Effects& out) {
    reading_ = false;
    next_read_ = now + read_every;
    if (unreached_.empty()) out.notices.push_back({"etcd_unreached", why});
    unreached_ = std::move(why);
}

void EtcdCore::watched(EtcdChanges changes, BootTime now, Effects& out) {
    if (estranged_ || left_) return;
    const bool news = view_.watched() && changes.revision > view_.revision();
    if (news) note_twin(changes, out);
    view_.take(std::move(changes), now);
    if (news) look(now, out);
    settle(now, out);
}

void EtcdCore::watch_ended(std::string why, BootTime now, Effects& out) {
    view_.lost();
    read_due_ = true;
    next_read_ = now;
    out.notices.push_back({"etcd_watch_ended", std::move(why)});
    settle(now, out);
}

// What was on its way when a process ended may still be carried out, once.
void EtcdCore::note_twin(const EtcdChanges& changes, Effects& out) {
    for (const auto& entry : changes.put) {
        const auto* lease = std::get_if<EtcdLease>(&entry.item);
        if (lease == nullptr || entry.key.node != record_.self) continue;
        if (own_.contains(lease->incarnation)) continue;
        if (++twin_writes_ > 1)
            estrange("another process runs in the name of this node: it renews its lease", out);
    }
}

void EtcdCore::set_trouble(Trouble trouble, BootTime now, Effects& out) {
    if (trouble_ == trouble) return;
    trouble_ = trouble;
    trouble_since_ = now;
    if (trouble != Trouble::none) out.notices.push_back({"etcd_pool_missed", waits_for(now)});
}

// The pool is not here yet: nothing is, or its value of before it was moved away.
bool EtcdCore::may_enter(const EtcdView::Seen* seen) const {
    if (seen == nullptr) return true;
    const auto* pool = std::get_if<EtcdPool>(&seen->item);
    return pool != nullptr && pool->state.pool_id == record_.pool_id &&
           !went_to_etcd(*value(), pool->state);
}

void EtcdCore::look(BootTime now, Effects& out) {
    if (estranged_ || left_ || gone_) return;
    if (value()) view_.expect(*value(), now);
    const auto* seen = view_.find(pool_key());
    if (view_.revision() < pool_changed_) return;  // it is behind what this node did itself
    if (entering() && may_enter(seen)) {
        const bool committed_last = value()->control == PoolControl::etcd;
        return set_trouble(committed_last ? Trouble::none : Trouble::emptied, now, out);
    }
    if (seen == nullptr) return set_trouble(value() ? Trouble::emptied : Trouble::none, now, out);
    const auto* pool = std::get_if<EtcdPool>(&seen->item);
    if (pool == nullptr) return set_trouble(Trouble::unreadable, now, out);
    hear(*pool, seen->changed, now, out);
}

void EtcdCore::hear(const EtcdPool& pool, Revision changed, BootTime now, Effects& out) {
    if (value() && pool.state.pool_id != record_.pool_id)
        return set_trouble(Trouble::other_pool, now, out);
    if (!value() && pool.state.control == PoolControl::embedded)
        return set_trouble(Trouble::moved_away, now, out);
    const Lineage heard{pool.state.version, pool.marks};
    switch (value() ? descent(known(), heard) : Descent::newer) {
        case Descent::same:
            if (judged_ && trouble_ == Trouble::none && changed == pool_changed_) return;
            [[fallthrough]];
        case Descent::newer:
            return adopt(pool, changed, now, out);
        case Descent::older:
            return set_trouble(Trouble::went_back, now, out);
        case Descent::forked:
            return estrange(
                "the pool went on from an old state of etcd, without what this node "
                "knows",
                out);
        case Descent::too_far_back:
            return set_trouble(Trouble::too_far_back, now, out);
    }
}

// What the pool knows of this node may be more than its disk remembers.
bool EtcdCore::is_behind(const PoolState& heard) const {
    if (judged_) return false;
    const auto known_version = value() ? value()->version : PoolVersion{};
    const auto* own = heard.member(record_.self);
    const auto* lease = view_.lease(record_.self);
    return (own != nullptr && own->acknowledged.version > known_version) ||
           (lease != nullptr && lease->known > known_version);
}

void EtcdCore::adopt(const EtcdPool& pool, Revision changed, BootTime now, Effects& out) {
    if (is_behind(pool.state))
        return estrange(
            "its disk remembers less than the pool knows of it: it went back, or is a "
            "copy",
            out);
    const bool anew = value() && pool.state.incarnation > record_.pool_incarnation;
    // What only this node has is given up there; nobody throws it away.
    if (anew && is_member() && pool.state.member(record_.self) == nullptr)
        return estrange("the pool began anew without this node", out);
    auto& accepted = record_.agreement.accepted;
    if (!value() || *value() != pool.state)
        accepted.value = std::make_shared<const PoolState>(pool.state);
    accepted.version = pool.state.version;
    record_.pool_id = pool.state.pool_id;
    record_.pool_incarnation = pool.state.incarnation;
    record_.marks = pool.marks;
    pool_changed_ = changed;
    judged_ = tend_ = true;
    set_trouble(Trouble::none, now, out);
    if (anew) view_.restart(now);
    view_.expect(*value(), now);
    resolve(out);
    judge_incarnation(out);
    refresh_acting(out);
    if (leaving_ && !is_member()) finish_leaving(out);
    if (value()->control == PoolControl::embedded && !left_) go_back();
}

// ------------------------------------------------------------------ answers

void EtcdCore::answered(std::uint64_t number, EtcdAnswer answer, BootTime now, Effects& out) {
    if (estranged_ || left_) return;
    const auto is = [&](const std::optional<Sent>& sent) { return sent && sent->number == number; };
    const bool of_step = step_ && is(step_->sent);
    if (!of_step && !is(renewal_) && !is(waiting_)) return;
    const auto sent = of_step ? *step_->sent : is(renewal_) ? *renewal_ : *waiting_;
    const bool renews = is(renewal_);
    if (renews) renewal_.reset();
    if (is(waiting_)) waiting_.reset();
    if (answer.outcome == EtcdAnswer::Outcome::unknown) read_due_ = true;
    if (answer.outcome == EtcdAnswer::Outcome::done) {
        view_.heard(now);
        if (answer.revision <= sent.heard) {  // of an etcd that was put back
            answer.outcome = EtcdAnswer::Outcome::unknown;
            view_.lost();
            read_due_ = true;
        }
    }
    if (renews) answer_renewal(sent, answer, now);
    if (answer.outcome == EtcdAnswer::Outcome::refused)
        take(std::move(answer.snapshot), sent.heard, now, out);
    if (of_step && step_) answer_step(answer, now, out);
    settle(now, out);
}

void EtcdCore::answer_renewal(const Sent& sent, const EtcdAnswer& answer, BootTime now) {
    if (answer.outcome == EtcdAnswer::Outcome::refused) return;  // again, with what it brings
    probed_ = false;
    next_renewal_ = now;
    if (answer.outcome != EtcdAnswer::Outcome::done || !value()) return;
    const auto ttl = value()->settings.lease_ttl;
    lease_.granted(record_.incarnation, sent.when, ttl);
    next_renewal_ = sent.when + renewal_interval(ttl);
}

// Nobody changes the value without its revision: what was refused, or overtaken by a value without
// its mark, never is done. What nobody has heard of is sent again, as it was.
void EtcdCore::answer_step(const EtcdAnswer& answer, BootTime now, Effects& out) {
    step_->sent.reset();
    if (answer.outcome == EtcdAnswer::Outcome::unknown) return;
    if (answer.outcome == EtcdAnswer::Outcome::done) {
        const auto pool = step_->pool;
        return adopt(pool, answer.revision, now, out);
    }
    step_.reset();
    for (auto& asked : asked_) asked.sent = false;
}

// ------------------------------------------------------------------ time, disk, store

void EtcdCore::tick(BootTime now, Effects& out) {
    if (estranged_ || left_) return;
    give_up(now);
    tend_ = true;
    if (view_.silent(now)) read_due_ = true;  // is anybody there?
    if (running_ && !gone_ && now >= next_renewal_ && !probing_ && !probed_ && !renewal_) {
        // A node whose disk hangs must not keep what it owns from others.
        probing_ = true;
        out.probe = true;
    }
    settle(now, out);
}

void EtcdCore::give_up(BootTime now) {
    std::erase_if(asked_, [&](const Asked& asked) {
        if (now < asked.give_up) return false;
        answers_.push_back(
            {asked.request,
             asked.sent ? Error{Errc::unknown, "etcd did not say in time whether it was done"}
                        : Error{Errc::unavailable,
                                "etcd was not reached in time, or its pool "
                                "cannot be changed now"}});
        return true;
    });
}

void EtcdCore::probed(BootTime now, Effects& out) {
    probing_ = false;
    probed_ = true;
    settle(now, out);
}

void EtcdCore::written(BootTime now, Effects& out) {
    std::vector<Outgoing> none;
    if (auto next = gate_.written(none)) out.write = std::move(next);
    refresh_acting(out);
    settle(now, out);
}

std::uint64_t EtcdCore::propose(Change change, BootTime now, Effects& out) {
    const auto request = ++last_request_;
    asked_.push_back({request, std::move(change), now + patience_for_answers});
    settle(now, out);
    return request;
}

// ------------------------------------------------------------------ what is asked

void EtcdCore::settle(BootTime now, Effects& out) {
    if (!estranged_ && !left_) {
        if (read_due_ && !gone_) read_again(now, out);
        if (view_.watched() && !gone_) {
            change(now, out);
            renew(now, out);
            wait(now, out);
        }
        std::vector<Outgoing> none;
        if (auto write = gate_.step(record_, {}, none)) out.write = std::move(write);
    }
    std::move(answers_.begin(), answers_.end(), std::back_inserter(out.answers));
    answers_.clear();
}

void EtcdCore::read_again(BootTime now, Effects& out) {
    if (reading_ || now < next_read_) return;
    reading_ = true;
    read_at_ = std::max(view_.revision(), pool_changed_);
    out.read = true;
}

EtcdCore::Sent EtcdCore::send(EtcdTransaction transaction, BootTime now, Effects& out) {
    out.transactions.push_back({++last_number_, std::move(transaction)});
    return {last_number_, now, std::max(view_.revision(), pool_changed_)};
}

// This start is on the disk: it may be told to others.
bool EtcdCore::on_disk() const {
    return gate_.on_disk().incarnation == record_.incarnation;
}

void EtcdCore::wait(BootTime now, Effects& out) {
    const bool live = value() && value()->is_live(record_.self, record_.incarnation);
    // Also who lives and may not renew yet says that it is there, or others would evict it.
    const bool comes = trouble_ == Trouble::none && !leaving_ &&
                       (!live || !(lease_.live(now, {}) || view_.settled(now) || is_alone()));
    const bool knows_more = trouble_ == Trouble::went_back;
    if (waiting_ || now < next_waiting_ || !on_disk() || !(knows_more || comes)) return;
    next_waiting_ = now + wait_every;
    const auto known_version = gate_.on_disk().agreement.accepted.version;
    const EtcdWaiting item{record_.incarnation, settings_.facts, known_version, ++waits_};
    waiting_ = send({{}, {{waiting_key(record_.self), item}}, {}}, now, out);
}

bool EtcdCore::is_alone() const {
    return value() && EtcdDuties::alone(*value(), record_.self);
}

bool EtcdCore::may_renew(BootTime now) const {
    if (entering()) return false;  // there is no value here yet that it could name
    const auto& durable = gate_.on_disk();
    const bool newest = durable.marks == record_.marks && acted_on_ >= value()->version &&
                        durable.pool_incarnation == record_.pool_incarnation;
    if (!newest || others_know_more(now)) return false;
    return lease_.live(now, {}) || view_.settled(now) || is_alone();
}

void EtcdCore::renew(BootTime now, Effects& out) {
    if (!running_ || !probed_ || renewal_ || trouble_ != Trouble::none || !may_renew(now)) return;
    beat_ = view_.settled(now) ? beat_ + 1 : 0;
    const auto key = lease_key(record_.self);
    const EtcdLease item{record_.incarnation, value()->version, record_.marks.front(), beat_};
    renewal_ = send({{{key, view_.changed(key)}, {pool_key(), pool_changed_}}, {{key, item}}, {}},
                    now, out);
}

}  // namespace posthorse::replication
