// Where votes and copies go: pure answers to "what does this pool lack?".
//
// Place     leader_duties.h asks after every change.
// Contract  Same arguments, same answer. Voters: one in a pool of one, two in a pool of two, three
//           from three nodes on, five from seven on; in as many zones as possible. A configuration
//           changes by one voter at a time; one that is merely away is replaced when a spare is
//           there and else keeps its vote: the configuration shrinks only by leaving and removal,
//           and only while those who are heard can decide in what is left.
//           Every live node that is not draining owns `open_partitions` open partitions, in
//           different sets, over zones first, one of them at least with as many in-sync nodes as
//           there should be copies, and one open solo partition. Sets that fall short are widened
//           by their owner; they are closed when they are beyond its share. Nodes that the leader
//           does not hear are given nothing.
#pragma once

#include <functional>
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

// Of a pool whose members did not vote before: the wanted one. Empty when nobody lives.
Configuration first_voters(const PoolState& state);

// Partitions to open and to close, in this order.
std::vector<Change> tend(const PoolState& state, const std::vector<NodeId>& away);

// How many holders a message should have now: `copies`, or all who live and stay when they are
// fewer.
std::size_t copies_wanted(const PoolState& state);
// Of the partition's in-sync set, those who live and do not drain.
std::size_t staying_holders(const PoolState& state, const PartitionState& partition);
// Whom the owner of a short set invites: out of the zones of the others first, then who holds
// least. `reached`: to whom it can speak.
std::optional<NodeId> next_holder(const PoolState& state,
                                  const PartitionState& partition,
                                  const std::function<bool(NodeId)>& reached);
// It has fewer of them than a message should have holders.
bool is_short(const PoolState& state, const PartitionState& partition);
// To whom an owner that drains hands a partition over: who has a copy, stays, and owns least.
std::optional<NodeId> next_owner(const PoolState& state,
                                 const PartitionState& partition,
                                 const std::function<bool(NodeId)>& reached);
// Partitions whose messages have fewer holders than they should, though their owner lives.
std::size_t short_partitions(const PoolState& state);

}  // namespace posthorse::replication
