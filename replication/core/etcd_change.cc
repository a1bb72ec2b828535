// How etcd_core.h changes the pool's value: begins it, goes on, puts it back.
#include "replication/core/control_move.h"
#include "replication/core/etcd_core.h"

namespace posthorse::replication {
namespace {

bool same_but_for_version(const PoolState& one, const PoolState& other) {
    return one.members == other.members && one.partitions == other.partitions &&
           one.settings == other.settings && one.next_partition == other.next_partition &&
           one.control == other.control;
}

}  // namespace

Lineage EtcdCore::known() const {
    return {value() ? value()->version : PoolVersion{}, record_.marks};
}

EtcdDuties::Self EtcdCore::own(BootTime now) const {
    const bool live = value() && value()->is_live(record_.self, record_.incarnation);
    return {.node = record_.self,
            .incarnation = record_.incarnation,
            .facts = settings_.facts,
            .lease_live = lease_live(now, {}),
            .starts = !live && !leaving_ && on_disk()};
}

void EtcdCore::change(BootTime now, Effects& out) {
    if (read_due_) return;
    if (step_) {
        if (step_->sent) return;
        step_->sent = send(step_->transaction, now, out);
        return;
    }
    if (trouble_ == Trouble::went_back) return put_back(now, out);
    if (trouble_ != Trouble::none) return;
    if (entering())
        enter(now, out);
    else if (value())
        put_next(now, out);
    else
        begin_pool(now, out);
}

// ------------------------------------------------------------------ going on

// Who waits and knows more: etcd was put back, and what this node would do now would part them.
bool EtcdCore::others_know_more(BootTime now) const {
    for (const auto& [key, seen] : view_.items()) {
        if (key.kind != EtcdKey::Kind::waiting || key.node == record_.self) continue;
        const auto* waiting = view_.waiting(key.node, now);
        if (waiting != nullptr && waiting->known > value()->version) return true;
    }
    return false;
}

// An earlier start that lives still is not ended by a later one: it lapses first.
bool EtcdCore::may_leave() const {
    const auto* member = value()->member(record_.self);
    return leaving_ && member != nullptr &&
           (!member->live || member->incarnation == record_.incarnation);
}

void EtcdCore::carry_out_asked(EtcdNext& next) {
    std::erase_if(asked_, [&](Asked& asked) {
        auto allowed = may_ask(next.state, asked.change, record_.self, record_.incarnation);
        auto changed_state =
            allowed ? changed(next.state, asked.change) : Result<PoolState>(allowed.error());
        if (!changed_state) {
            answers_.push_back({asked.request, changed_state.error()});
            return true;
        }
        next.state = *std::move(changed_state);
        asked.sent = true;
        return false;
    });
}

void EtcdCore::answer_sent(std::optional<Error> error) {
    std::erase_if(asked_, [&](const Asked& asked) {
        if (asked.sent) answers_.push_back({asked.request, error});
        return asked.sent;
    });
}

void EtcdCore::put_next(BootTime now, Effects& out) {
    if (others_know_more(now)) return;
    const auto self = own(now);
    const bool sure = view_.settled(now) || is_alone();
    const bool starts = sure && EtcdDuties::may_start(*value(), self);
    const bool leaves = may_leave();
    const bool tends =
        sure && std::exchange(tend_, false) && duties_.turn(*value(), self, view_, now);
    if (asked_.empty() && !starts && !leaves && !tends) return;
    EtcdNext next{*value(), {}, {}};
    carry_out_asked(next);
    if (leaves) EtcdDuties::leave(next, self, view_);
    if (starts) EtcdDuties::start(next, self, view_);
    if (tends) duties_.share(next, self, view_, now);
    if (same_but_for_version(next.state, *value()) && !leaves)
        return answer_sent(std::nullopt);  // asked for what is so already
    EtcdDuties::acknowledge(next, view_);
    EtcdDuties::tidy(next, view_, now);
    next.state.version.value += 1;
    propose_value(std::move(next), leaves, now, out);
}

void EtcdCore::propose_value(EtcdNext next, bool leaves, BootTime now, Effects& out) {
    EtcdPool pool{std::move(next.state), with_mark(random_(), record_.marks)};
    EtcdTransaction transaction{std::move(next.when), {}, std::move(next.deletes)};
    transaction.when.push_back(
        {pool_key(), view_.revision() < pool_changed_ ? pool_changed_ : view_.changed(pool_key())});
    transaction.puts.push_back({pool_key(), pool});
    step_ = Step{std::move(transaction), std::move(pool), leaves, {}};
    step_->sent = send(step_->transaction, now, out);
}

// A newer value was taken: is what this node asked for in it?
void EtcdCore::resolve(Effects& out) {
    if (!step_ || value()->version < step_->pool.state.version) return;
    const auto mark = mark_of(known(), step_->pool.state.version);
    const bool done = mark == step_->pool.marks.front();
    const bool leaves = step_->leaves;
    step_.reset();
    if (done) {
        answer_sent(std::nullopt);
        if (leaves) finish_leaving(out);
    } else if (!mark) {
        answer_sent(Error{Errc::unknown, "the pool went on too far to tell whether it was done"});
    } else {
        for (auto& asked : asked_) asked.sent = false;
    }
}

// ------------------------------------------------------------------ beginning

std::vector<Start> EtcdCore::beginners(BootTime now) const {
    std::vector<Start> starts;
    if (settings_.expect > 0) {
        for (const auto& [key, seen] : view_.items()) {
            if (key.kind != EtcdKey::Kind::waiting || key.node == record_.self) continue;
            const auto* waiting = view_.waiting(key.node, now);
            if (waiting == nullptr || waiting->known != PoolVersion{}) continue;
            starts.push_back({key.node, waiting->incarnation, waiting->facts});
        }
    }
    starts.push_back({record_.self, record_.incarnation, settings_.facts});
    std::sort(starts.begin(), starts.end(),
              [](const Start& one, const Start& other) { return one.node < other.node; });
    return starts;
}

// Only by a node that remembers no pool.
void EtcdCore::begin_pool(BootTime now, Effects& out) {
    if (leaving_ || !on_disk()) return;
    const auto starts = beginners(now);
    if (starts.size() < settings_.expect || starts.front().node != record_.self) return;
    EtcdNext next;
    NodeId name;
    for (auto& byte : name.bytes) byte = static_cast<std::uint8_t>(random_());
    next.state.pool_id = name.to_string();
    next.state.settings = settings_.pool;
    for (const auto& start : starts) {
        if (auto begun = changed(next.state, start)) next.state = *std::move(begun);
    }
    next.state.version = {1};
    next.state.control = PoolControl::etcd;
    next.deletes.push_back(waiting_key(record_.self));
    propose_value(std::move(next), false, now, out);
}

// What all members know as committed is put here by the first of them.
void EtcdCore::enter(BootTime now, Effects& out) {
    propose_value({first_on_etcd(*value()), {}, {}}, false, now, out);
}

// ------------------------------------------------------------------ putting back

// Who else waits knows more than this node, or as much and comes first.
bool EtcdCore::others_put_back(BootTime now) const {
    for (const auto& [key, seen] : view_.items()) {
        if (key.kind != EtcdKey::Kind::waiting || key.node == record_.self) continue;
        const auto* waiting = view_.waiting(key.node, now);
        if (waiting == nullptr) continue;
        if (waiting->known > value()->version) return true;
        if (waiting->known == value()->version && key.node < record_.self) return true;
    }
    return false;
}

// Incarnations that live in the old value only may have acted on it meanwhile: what is put back
// ends them, and waits for their leases as an eviction does. False: one may last still.
bool EtcdCore::end_of_old(EtcdNext& next, BootTime now) const {
    const auto* seen = view_.find(pool_key());
    const auto* old = seen == nullptr ? nullptr : std::get_if<EtcdPool>(&seen->item);
    if (old == nullptr) return false;
    for (const auto& member : old->state.members) {
        if (!member.live || value()->is_live(member.id, member.incarnation)) continue;
        const auto* lease = view_.find(lease_key(member.id));
        if (lease != nullptr && now - lease->since < value()->settings.lease_ttl) return false;
        next.when.push_back({lease_key(member.id), view_.changed(lease_key(member.id))});
    }
    return true;
}

// What etcd holds is what this node knows of before. Whoever knows most puts that back, when all
// leases that were granted by what is lost have ended, and all who know more have said so.
void EtcdCore::put_back(BootTime now, Effects& out) {
    const auto ttl = value()->settings.lease_ttl;
    if (now - trouble_since_ < ttl || !view_.settled(now) || !on_disk()) return;
    EtcdNext next{*value(), {}, {}};
    if (others_put_back(now) || !end_of_old(next, now)) return;
    next.state.incarnation += 1;
    next.state.version.value += 1;
    next.deletes.push_back(waiting_key(record_.self));
    out.notices.push_back({"pool_put_back", "etcd had lost what the pool agreed on: version " +
                                                std::to_string(value()->version.value) +
                                                ", which this node knows, is put back"});
    propose_value(std::move(next), false, now, out);
}

Result<void> EtcdCore::begin_without(const std::vector<NodeId>& others,
                                     BootTime now,
                                     Effects& out) {
    if (!value() || value()->member(record_.self) == nullptr)
        return Error{Errc::conflict, "this node is no member of a pool"};
    if (!view_.watched())
        return Error{Errc::unavailable,
                     "etcd is not reached: " + unreached_ +
                         ". A new beginning is written there too: set right where it is"};
    if (trouble_ == Trouble::other_pool)
        return Error{Errc::conflict,
                     "etcd holds another pool under this prefix, which would be lost: set prefix "
                     "and endpoints right, or delete it there first"};
    if (trouble_ == Trouble::none && judged_)
        return Error{Errc::conflict, "etcd holds the pool: remove nodes without --force"};
    auto begun = begun_without(*value(), record_.self, others);
    if (!begun) return begun.error();
    answer_sent(Error{Errc::unknown, "the pool began anew before it was known to be done"});
    step_.reset();
    EtcdNext next{*std::move(begun), {}, {}};
    next.state.control = PoolControl::etcd;
    next.deletes.push_back(waiting_key(record_.self));
    propose_value(std::move(next), false, now, out);
    settle(now, out);
    return {};
}

}  // namespace posthorse::replication
