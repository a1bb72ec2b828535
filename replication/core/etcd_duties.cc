#include "replication/core/etcd_duties.h"

#include <algorithm>

#include "replication/core/placement.h"

namespace posthorse::replication {
namespace {

constexpr Duration turn_after = std::chrono::milliseconds{300};
constexpr Duration forgotten_after = std::chrono::minutes{1};
// etcd takes 128 operations in a transaction, unless it is told otherwise.
constexpr std::size_t ended_max = 40;
constexpr std::size_t deletes_max = 100;

// Applies a change that was computed from `state` itself.
void apply(PoolState& state, const Change& change) {
    if (auto next = changed(state, change)) state = *std::move(next);
}

void end_lease(EtcdNext& next, const NodeId& node, const EtcdView& view) {
    next.when.push_back({lease_key(node), view.changed(lease_key(node))});
    next.deletes.push_back(lease_key(node));
}

bool is_in(const std::vector<NodeId>& nodes, const NodeId& node) {
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

// ------------------------------------------------------------------ of its own

bool EtcdDuties::alone(const PoolState& state, const NodeId& self) {
    return state.members.size() == 1 && state.members.front().id == self;
}

bool EtcdDuties::may_start(const PoolState& state, const Self& self) {
    const auto* member = state.member(self.node);
    if (!self.starts || member == nullptr) return self.starts;
    return !member->live && member->incarnation.counter < self.incarnation.counter;
}

void EtcdDuties::start(EtcdNext& next, const Self& self, const EtcdView& view) {
    apply(next.state, Start{self.node, self.incarnation, self.facts});
    end_lease(next, self.node, view);
    next.deletes.push_back(waiting_key(self.node));
}

void EtcdDuties::leave(EtcdNext& next, const Self& self, const EtcdView& view) {
    const auto* member = next.state.member(self.node);
    if (member == nullptr) return;
    const Ended ended{self.node, member->incarnation};
    apply(next.state, SetDraining{self.node, true});
    apply(next.state, Leave{ended});
    end_lease(next, self.node, view);
    next.deletes.push_back(waiting_key(self.node));
}

// ------------------------------------------------------------------ who lives

std::vector<NodeId> EtcdDuties::away(const PoolState& state, const EtcdView& view, BootTime now) {
    std::vector<NodeId> nodes;
    for (const auto& member : state.members) {
        const auto age = view.lease_age(member.id, now);
        if (age && *age > away_after(state.settings.lease_ttl)) nodes.push_back(member.id);
    }
    return nodes;
}

std::vector<Ended> EtcdDuties::lapsed(const PoolState& state,
                                      const Self& self,
                                      const EtcdView& view,
                                      BootTime now) {
    std::vector<Ended> ended;
    const auto ttl = state.settings.lease_ttl;
    for (const auto& member : state.members) {
        if (!member.live || (member.id == self.node && member.incarnation == self.incarnation))
            continue;
        // It is there, and waits until it may renew.
        const auto* waiting = view.waiting(member.id, now);
        if (waiting != nullptr && waiting->incarnation == member.incarnation) continue;
        const auto age = view.lease_age(member.id, now);
        const bool own_earlier = alone(state, self.node) && self.starts;
        if (age && *age >= (own_earlier ? away_after(ttl) : ttl))
            ended.push_back({member.id, member.incarnation});
        if (ended.size() == ended_max) break;
    }
    return ended;
}

// How many should have done it before this node.
std::size_t EtcdDuties::rank(const PoolState& state,
                             const Self& self,
                             const EtcdView& view,
                             BootTime now) {
    const auto silent = away(state, view, now);
    const bool acts = self.lease_live && state.is_live(self.node, self.incarnation);
    std::size_t before = 0;
    for (const auto& member : state.members) {
        if (member.id == self.node || !member.live || is_in(silent, member.id)) continue;
        if (!acts || member.id < self.node) ++before;
    }
    if (acts) return before;
    for (const auto& [key, seen] : view.items()) {
        const bool waits = key.kind == EtcdKey::Kind::waiting && key.node < self.node;
        if (waits && view.waiting(key.node, now) != nullptr) ++before;
    }
    return before;
}

// ------------------------------------------------------------------ what the pool lacks

EtcdDuties::Look EtcdDuties::look(const PoolState& state,
                                  const Self& self,
                                  const EtcdView& view,
                                  BootTime now) const {
    return {state.incarnation, state.version, lapsed(state, self, view, now),
            away(state, view, now), rank(state, self, view, now) == 0};
}

bool EtcdDuties::turn(const PoolState& state,
                      const Self& self,
                      const EtcdView& view,
                      BootTime now) {
    auto seen = look(state, self, view, now);
    if (look_ != seen) {
        look_ = std::move(seen);
        EtcdNext next{state, {}, {}};
        share(next, self, view, now);
        const bool was_due = std::exchange(due_, next.state != state);
        if (due_ && !was_due) due_since_ = now;
    }
    if (!due_) return false;
    const auto before = static_cast<std::int64_t>(rank(state, self, view, now));
    return now - due_since_ >= before * turn_after;
}

void EtcdDuties::share(EtcdNext& next, const Self& self, const EtcdView& view, BootTime now) const {
    const auto before = next.state;
    auto silent = away(before, view, now);
    Evict evict{lapsed(before, self, view, now), {}, {}};
    for (const auto& ended : evict.ended) {
        end_lease(next, ended.node, view);
        const auto* waiting = view.waiting(ended.node, now);
        const auto* member = before.member(ended.node);
        std::optional<Start> start;
        if (ended.node == self.node) {
            if (self.starts) start = Start{self.node, self.incarnation, self.facts};
        } else if (waiting != nullptr && waiting->known >= member->acknowledged.version) {
            start = Start{ended.node, waiting->incarnation, waiting->facts};
        }
        if (!start || start->incarnation.counter <= member->incarnation.counter) continue;
        evict.starts.push_back(*start);
        next.deletes.push_back(waiting_key(ended.node));
    }
    for (const NodeId& node : silent) {
        if (before.is_live(node)) evict.silent.push_back(node);
    }
    if (!evict.ended.empty()) apply(next.state, evict);
    // Who begins with this value is heard.
    std::erase_if(silent, [&](const NodeId& node) {
        const auto* is = next.state.member(node);
        const auto* was = before.member(node);
        return is != nullptr && was != nullptr && is->incarnation != was->incarnation;
    });
    const bool first = rank(before, self, view, now) == 0;
    if (first && next.state.settings.copies != copies_) apply(next.state, SetCopies{copies_});
    for (const auto& change : tend(next.state, silent)) apply(next.state, change);
}

void EtcdDuties::acknowledge(EtcdNext& next, const EtcdView& view) {
    for (auto& member : next.state.members) {
        const auto* lease = view.lease(member.id);
        if (lease == nullptr || lease->incarnation != member.incarnation) continue;
        member.acknowledged.version = std::max(member.acknowledged.version, lease->known);
    }
}

void EtcdDuties::tidy(EtcdNext& next, const EtcdView& view, BootTime now) {
    const bool leaves_etcd = next.state.control == PoolControl::embedded;
    for (const auto& [key, seen] : view.items()) {
        const bool lives = key.kind == EtcdKey::Kind::lease && next.state.is_live(key.node);
        const bool needed = key.kind == EtcdKey::Kind::pool || (lives && !leaves_etcd);
        const bool fresh = now - seen.since < forgotten_after && !leaves_etcd;
        if (needed || fresh || seen.changed == Revision{}) continue;
        if (next.deletes.size() >= deletes_max) return;
        if (std::find(next.deletes.begin(), next.deletes.end(), key) == next.deletes.end())
            next.deletes.push_back(key);
    }
}

}  // namespace posthorse::replication
