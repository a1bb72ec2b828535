// The legal changes of a pool's state while the pool is one node, as pure functions.
//
// Place     edge/solo_control.h stores what they return before anybody sees it.
// Contract  Every change bumps the version. A start is a new incarnation with a greater counter and
//           bumps the epoch of every partition of the node, so that nothing that an earlier start
//           left under way can be taken for its own.
#pragma once

#include <cstdint>
#include <string>

#include "replication/core/pool_state.h"

namespace posthorse::replication {

// Open partitions of a new pool of one, beside its solo partition.
inline constexpr std::uint32_t solo_open_partitions = 4;

// A pool that begins with this node alone: `solo_open_partitions` open partitions and a solo one.
PoolState begin_pool(std::string pool_id, NodeId self, std::string name);

// The next start of the only member.
PoolState begin_incarnation(PoolState pool, NodeId self, std::uint64_t random);

}  // namespace posthorse::replication
