// Holds a run to the promises of the control plane on etcd.
//
// Contract  One owner   after every event of a machine, paused ones too, each judged on its own
//                       clock: at most one process is entitled to a partition, and none with a disk
//                       that went back or is a copy.
//           Values      every value that etcd carries out descends from one that it carried out
//                       before, by one legal step: epochs grow with every change of owner or set,
//                       sets are never empty and grow only by what an owner asked for.
//           Knowledge   a node takes only what descends from what it knew.
//           Strangers   nobody becomes one without a reason.
// Owner     One Simulation.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "replication/core/etcd_lineage.h"
#include "tests/sim/control/journal.h"

namespace posthorse::sim::etcd {

using replication::EtcdPool;
using replication::PartitionState;
using replication::PoolState;

class Machine;
class Simulation;

class Checker {
public:
    Checker(const Simulation& simulation, control::Journal& journal)
        : simulation_(simulation), journal_(journal) {}

    void saw(const Machine& machine);
    void pool_is(const EtcdPool& pool);
    void estranged(const Machine& machine, const std::string& why);
    void widening(PartitionId partition, const NodeId& node) { widened_.insert({partition, node}); }
    // etcd loses what it held, or disks do: some may be strangers from now on.
    void excuse_strangers() { strangers_excused_ = true; }
    // Two may know different things under one name.
    void excuse_copies() { strangers_excused_ = copied_ = true; }

private:
    void see_value(const Machine& machine);
    void check_step(const PoolState& before, const PoolState& after);
    void check_partition(const PartitionState& was,
                         const PoolState& before,
                         const PartitionState& is,
                         const PoolState& after);
    void fail(const PoolState& value, const std::string& what);

    const Simulation& simulation_;
    control::Journal& journal_;
    std::map<std::uint64_t, PoolState> carried_out_;  // by mark
    std::set<std::pair<PartitionId, NodeId>> widened_;
    std::map<NodeId, replication::Lineage> known_;
    std::map<NodeId, Incarnation> starts_;
    bool strangers_excused_ = false;
    bool copied_ = false;
};

}  // namespace posthorse::sim::etcd
