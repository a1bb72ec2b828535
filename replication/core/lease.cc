#include "replication/core/lease.h"

#include <algorithm>

namespace posthorse::replication {
namespace {

bool ends_in(const PoolState& state, const NodeId& node, const Incarnation& incarnation) {
    return !state.is_live(node, incarnation);
}

}  // namespace

void Lease::begin(const Incarnation& incarnation) {
    incarnation_ = incarnation;
    expires_.reset();
}

bool Lease::granted(const Incarnation& incarnation, BootTime sent, Duration ttl) {
    if (incarnation != incarnation_) return false;
    const auto expires = sent + ttl - drift_margin(ttl);
    expires_ = expires_ ? std::max(*expires_, expires) : expires;
    return true;
}

bool cannot_be_evicted(const Published& accepted, const NodeId& self) {
    if (accepted.value && accepted.value->control != PoolControl::embedded) return false;
    return accepted.committed.needs(self) && accepted.configuration.needs(self);
}

bool votes_alone(const Published& accepted, const NodeId& self) {
    const std::vector<NodeId> alone{self};
    return accepted.configuration.voters == alone && accepted.committed.voters == alone;
}

bool may_act(const Lease& lease,
             const Published& accepted,
             const NodeId& self,
             BootTime now,
             Duration margin) {
    return lease.live(now, margin) || cannot_be_evicted(accepted, self);
}

PoolState acting_state(const PoolState& committed,
                       const PoolState& accepted,
                       const NodeId& self,
                       const Incarnation& incarnation) {
    auto state = committed;
    const bool lives = committed.is_live(self, incarnation) && accepted.is_live(self, incarnation);
    for (auto& partition : state.partitions) {
        if (partition.owner != self) continue;
        const auto* newest = accepted.find(partition.id);
        if (lives && newest != nullptr && newest->owner == self) continue;
        partition.owner.reset();
    }
    return state;
}

Acting acting_of(const Value& committed,
                 const Value& accepted,
                 const NodeId& self,
                 const Incarnation& incarnation,
                 bool stops) {
    if (!committed || !accepted) return {};
    Acting acting{
        acting_state(*committed, *accepted, self, incarnation),
        !stops && committed->is_live(self, incarnation) && accepted->is_live(self, incarnation)};
    for (auto& partition : acting.state.partitions) {
        if (!acting.running && partition.owner == self) partition.owner.reset();
    }
    return acting;
}

void LeaseBook::lead(const PoolState& state, BootTime now) {
    stop();
    leads_ = true;
    ttl_ = state.settings.lease_ttl;
    for (const auto& member : state.members) {
        if (member.live) begin(member, now, ttl_);
    }
    versions_.push_back({state.version, now});
}

void LeaseBook::stop() {
    leads_ = false;
    entries_.clear();
    waiting_.clear();
    versions_.clear();
}

void LeaseBook::begin(const Member& member, BootTime now, Duration ttl) {
    entries_[member.id] = {member.incarnation, now + ttl, false};
}

void LeaseBook::arrived(Renewal renewal, std::uint64_t newest_round, BootTime now) {
    if (!leads_) return;
    std::erase_if(waiting_, [&](const Waiting& other) {
        return other.renewal.node == renewal.node && other.round == newest_round + 1;
    });
    waiting_.push_back({renewal, newest_round + 1, now});
}

std::vector<LeaseBook::Grant> LeaseBook::confirmed(std::uint64_t round,
                                                   const PoolState& accepted,
                                                   BootTime now) {
    std::vector<Grant> grants;
    std::erase_if(waiting_, [&](const Waiting& waiting) {
        if (waiting.round > round) return false;
        const auto& renewal = waiting.renewal;
        const auto entry = entries_.find(renewal.node);
        if (entry == entries_.end() || entry->second.incarnation != renewal.incarnation)
            return true;
        if (entry->second.ending || ends_in(accepted, renewal.node, renewal.incarnation))
            return true;
        if (lags(renewal, now, ttl_)) return true;
        entry->second.expires = std::max(entry->second.expires, waiting.arrived + ttl_);
        grants.push_back({renewal, ttl_});
        return true;
    });
    return grants;
}

void LeaseBook::proposed(const PoolState& next) {
    for (auto& [node, entry] : entries_) {
        if (ends_in(next, node, entry.incarnation)) entry.ending = true;
    }
}

void LeaseBook::committed(const PoolState& state, BootTime now) {
    if (!leads_) return;
    std::erase_if(entries_, [&](const auto& entry) {
        return ends_in(state, entry.first, entry.second.incarnation);
    });
    for (const auto& member : state.members) {
        if (member.live && !entries_.contains(member.id)) begin(member, now, ttl_);
    }
    versions_.push_back({state.version, now});
    while (versions_.size() > 1 && versions_[1].committed + ttl_ <= now) versions_.pop_front();
}

// A node that does not carry out what the pool agreed on must not go on owning what it had.
bool LeaseBook::lags(const Renewal& renewal, BootTime now, Duration ttl) const {
    return std::any_of(versions_.begin(), versions_.end(), [&](const Version& version) {
        return renewal.acted_on < version.version && version.committed + ttl <= now;
    });
}

std::vector<Ended> LeaseBook::lapsed(BootTime now) const {
    std::vector<Ended> ended;
    for (const auto& [node, entry] : entries_) {
        if (entry.expires <= now) ended.push_back({node, entry.incarnation});
    }
    return ended;
}

std::optional<BootTime> LeaseBook::expires(const NodeId& node) const {
    const auto entry = entries_.find(node);
    if (entry == entries_.end()) return std::nullopt;
    return entry->second.expires;
}

}  // namespace posthorse::replication
