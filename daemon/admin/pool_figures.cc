#include "daemon/admin/pool_figures.h"

#include <algorithm>

namespace posthorse::admin {

Holdings holdings_of(const replication::PoolState& state, const NodeId& node) {
    Holdings found;
    for (const auto& partition : state.partitions) {
        if (partition.owner == node) ++found.owned;
        if (partition.holds(node)) ++found.in_sync;
    }
    return found;
}

bool is_short(const replication::PoolState& state, const replication::PartitionState& partition) {
    const bool solo = partition.solo && partition.phase == replication::PartitionPhase::open;
    const auto wanted = std::min<std::size_t>(state.settings.copies, state.members.size());
    return !solo && partition.in_sync.size() < wanted;
}

// Whose lease etcd renewed lately reaches it; nobody else's word is needed.
bool can_decide(const replication::ControlStatus& status) {
    if (status.control == replication::PoolControl::embedded) return status.leader.has_value();
    return status.phase == "member" && status.lease_left.value_or(Duration{}) > Duration{};
}

MemberState state_of(const replication::Member& member) {
    if (!member.live) return MemberState::away;
    return member.draining ? MemberState::draining : MemberState::live;
}

}  // namespace posthorse::admin
