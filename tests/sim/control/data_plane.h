// What stands for the queue on one node: it takes and releases partitions, and asks the pool for
// what an owner asks for (holders in, holders out, hand over, retire).
//
// Contract  It stops owning a partition before it asks to hand it over, and goes on only when a
//           committed value has moved its epoch on and still names this node.
// Owner     Machine, one process.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "replication/core/control_core.h"
#include "tests/sim/world.h"

namespace posthorse::sim::control {

using replication::Change;
using replication::PartitionState;
using replication::PoolState;

class Machine;

class DataPlane {
public:
    explicit DataPlane(Machine& machine) : machine_(machine) {}

    void tend();
    void answered(const replication::ControlEffects::Answer& answer);
    void asked(std::uint64_t request, std::optional<PartitionId> partition);
    bool handed_over(const PartitionState& partition) const;
    // Nothing that only this node holds is left, as far as it can tell.
    bool may_leave() const;
    // Requests without an answer since `before`, on this node's clock.
    bool waits_since(BootTime before) const;

private:
    void tend(const PartitionState& partition);
    std::optional<Change> wanted(const PartitionState& partition);
    std::optional<Change> widened(const PartitionState& partition) const;
    std::optional<Change> narrowed(const PartitionState& partition) const;
    bool reaches(const NodeId& node) const;
    std::size_t stayers() const;
    void ask(Change change, PartitionId partition);

    Machine& machine_;
    struct Request {
        std::optional<PartitionId> partition;
        BootTime asked;
    };
    std::map<std::uint64_t, Request> requests_;
    std::map<PartitionId, Epoch> handed_;      // in which epoch
    std::map<PartitionId, BootTime> closing_;  // seen so since
    std::set<PartitionId> busy_;
};

}  // namespace posthorse::sim::control
