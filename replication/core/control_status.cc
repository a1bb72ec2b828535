// What control_core.h shows to people.
#include "replication/core/control_core.h"

#include <algorithm>

namespace posthorse::replication {

ControlStatus ControlCore::status(BootTime now) const {
    ControlStatus status;
    status.self = record_.self;
    status.incarnation = record_.incarnation;
    status.refused = refused_;
    status.phase = phase(now);
    status.waits_for = election_ || !founding_ ? std::string{} : founding_->waits_for();
    if (!election_) return status;
    const auto& accepted = election_->durable().accepted;
    status.term = election_->agreement().term();
    status.leader = election_->leader(now);
    status.voters = accepted.configuration;
    status.voters_change = accepted.committed != accepted.configuration;
    status.evictable = !cannot_be_evicted(accepted, record_.self);
    if (lease_.expires()) status.lease_left = std::max(*lease_.expires() - now, Duration{});
    if (election_->leads()) {
        for (const auto& member : committed().members) {
            const auto until = duties_.leases().expires(member.id);
            if (until) status.leases[member.id] = std::max(*until - now, Duration{});
        }
    } else {
        for (const auto& [node, until] : leases_until_)
            status.leases[node] = std::max(until - now, Duration{});
    }
    return status;
}

std::string ControlCore::phase(BootTime now) const {
    if (estranged_) return "a stranger to its pool";
    if (left_) return "left";
    if (leaving_) return "leaving";
    if (inquiry_) return "asking who it is";
    if (!election_) return "looking for a pool";
    if (running_) return "member";
    if (!election_->leader(now)) return "waiting for a leader";
    return is_member() ? "waiting for its earlier start to end" : "joining";
}

}  // namespace posthorse::replication
