// Where votes and copies go: pure answers to "what does this pool lack?".
//
// Place     leader_duties.h asks after every change.
// Contract  Same arguments, same answer. Voters: one in a pool of one, two in a pool of two, three
//           from three nodes on, five from seven on; in as many zones as possible. A configuration
//           changes by one voter at a time; one that is merely away is replaced when a spare is
//           there and else keeps its vote: the configuration shrinks only by leaving and removal,
//           and only while those who are heard can decide in what is left.
//           Every live node that is not draining owns `open_partitions` open partitions with as
//           many in-sync nodes as there should be copies, in different sets, over zones first, and
//           one open solo partition. What falls short of that is closed when another is there.
#pragma once

#include <optional>
#include <vector>

#include "replication/core/coordination_fsm.h"
#include "replication/core/pool_state.h"

namespace posthorse::replication {

inline constexpr std::size_t open_partitions = 4;

// How many voters a pool of so many live nodes wants.
std::size_t voters_wanted(std::size_t live_nodes);

// The next configuration on the way to the wanted one; nullopt: nothing to change. `away`: members
// that the leader does not hear.
std::optional<Configuration> next_voters(const Configuration& now,
                                         const PoolState& state,
                                         const std::vector<NodeId>& away);

// Partitions to open and to close, in this order.
std::vector<Change> tend(const PoolState& state);

}  // namespace posthorse::replication
