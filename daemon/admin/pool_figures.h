// What is counted of a pool, for operators and metrics. Pure.
#pragma once

#include "replication/core/control_core.h"
#include "replication/core/pool_state.h"

namespace posthorse::admin {

struct Holdings {
    std::uint32_t owned = 0;
    std::uint32_t in_sync = 0;  // the owned ones among them
};
Holdings holdings_of(const replication::PoolState& state, const NodeId& node);

// Fewer in-sync nodes than there should be: `copies`, or all members of a smaller pool. An open
// solo partition is of one node on purpose.
bool is_short(const replication::PoolState& state, const replication::PartitionState& partition);

// Whether the pool can agree on changes, as far as this node knows.
bool can_decide(const replication::ControlStatus& status);

enum class MemberState : std::uint8_t { live, draining, away };
inline constexpr std::size_t member_states = 3;
// `away` goes before `draining`.
MemberState state_of(const replication::Member& member);

}  // namespace posthorse::admin
