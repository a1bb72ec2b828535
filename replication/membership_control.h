// The control plane as the node's wiring sees it: the port of the queue, and how a node comes to
// its pool, is told apart by its peers, is asked by people, and goes.
//
// Place     Between daemon/pool_membership.h and edge/movable_control.h, which holds one of
//           edge/embedded_control.h and edge/etcd_control.h.
// Contract  replication/control_plane.h, and: start() completes when this incarnation is live in
//           its pool. After leave() has completed nothing of this incarnation is owned, and
//           left_with() names the partitions that only this node holds, as the pool knows it.
// Owner     node.cc. Every call on home.
#pragma once

#include <vector>

#include "replication/control_plane.h"
#include "replication/core/control_core.h"

namespace posthorse::replication {

// What one control plane hands to the other when the pool moves, of one incarnation.
struct Passed {
    ControlRecord record;
    Lease lease;
};

class MembershipControl : public ControlPlane {
public:
    // Every 50 ms or so.
    virtual void tick() = 0;
    // A message of a peer about the pool; where peers agree through etcd none is taken.
    virtual void receive(const Header& header,
                         const Message& message,
                         UniqueFunction<void(Refusal)> verdict) = 0;
    // What a message of any member, under this header, would meet: for what passes beside, such as
    // the data plane's streams. It must name this node. not_ready: no value says who is a member.
    virtual Refusal judge(const Header& header) const = 0;
    // For the same: who this node is, as far as its disk remembers.
    virtual Header header(std::optional<NodeId> to) const = 0;
    // Ends this incarnation by consent; nothing is owned from here on.
    virtual void leave(Completion<> done) = 0;
    virtual const std::vector<PartitionId>& left_with() const = 0;
    // When the pool can decide nothing any more: a new incarnation of it, of this node alone. The
    // operator vouches that `others`, all the other members, are off.
    virtual Result<void> begin_without(const std::vector<NodeId>& others) = 0;
    // The newest committed value; empty before.
    virtual const PoolState& committed() const = 0;
    virtual ControlStatus status() const = 0;
    // For the other control plane, when the pool is there: edge/movable_control.h.
    virtual Passed passed() const = 0;
    // Nothing is asked of anybody any more. `done` runs on home, then or later; only then it may be
    // destroyed.
    virtual void stop(UniqueFunction<void()> done) { done(); }
};

}  // namespace posthorse::replication
