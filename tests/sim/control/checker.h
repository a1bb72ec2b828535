// Holds a run to the promises of the control plane, at every event.
//
// Contract  One owner      at any instant at most one process is entitled to a partition, and
// nobody
//                          to what a committed value gives to another.
//           Agreement      one leader a term; one committed value a version; what a process sees
//                          committed never goes back; every committed value is a legal successor of
//                          the one before it (epochs, numbers, sets, owners).
//           No lost holder an in-sync set is never empty, and grows only by what an owner asked
//           for. One pool       see expect_one_pool(). No stranger without a reason; and what went
//           back or was copied owns nothing. Progress after the trouble is Pool's to judge.
// Owner     One Simulation.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "replication/core/control_core.h"
#include "tests/sim/control/journal.h"

namespace posthorse::sim::control {

using replication::PartitionState;
using replication::PoolState;
using replication::Value;

class Machine;
class Pool;

class Checker {
public:
    Checker(const Pool& pool, Journal& journal) : pool_(pool), journal_(journal) {}

    // --- from the machines
    void saw(const Machine& machine);      // after each of its events
    void changed(const Machine& machine);  // its claims are others, or it ended
    void widening(PartitionId partition, const NodeId& node) { widened_.insert({partition, node}); }
    void estranged(const Machine& machine, const std::string& why);

    // --- from the scenario
    // The operator vouches for something, or a disk is not what it was: from now on some of this
    // may be.
    void excuse_strangers() { strangers_excused_ = true; }
    void excuse_losses() { losses_excused_ = true; }
    void excuse_pools() { pools_excused_ = true; }

    void finish();
    // The newest committed value, of the newest pool; null before.
    const Value& newest() const { return newest_; }

private:
    struct Line {  // of one incarnation of one pool
        std::map<PoolVersion, Value> committed;
        std::map<PoolVersion, std::set<Value>> accepted;
        std::map<Term, NodeId> leaders;
        replication::Configuration voters;
        PoolVersion voted_at;
    };
    struct Seen {  // of one process
        std::uint64_t start = 0;
        std::pair<std::string, std::uint64_t> pool;
        Value committed;
        Value accepted;
        Term elected;
        std::vector<PartitionId> stale;  // claims that the newest value gives to others
    };

    Seen& seen_of(const Machine& machine);
    void see_leader(const Machine& machine, Line& line, Seen& seen);
    void see_committed(const Machine& machine, Line& line, Seen& seen);
    void begin_pool(const Machine& machine);
    void new_value(Line& line, const Value& value);
    void check_value(const PoolState& value);
    void check_step(const PoolState& before, const PoolState& after);
    void check_partition(const PoolState& before,
                         const PartitionState& was,
                         const PoolState& after,
                         const PartitionState& is);
    void count_step(const PoolState& before, const PoolState& after);
    void find_stale(const Machine& machine);
    void check_owners(const Machine& machine);
    void fail(const PoolState& value, const std::string& what);

    const Pool& pool_;
    Journal& journal_;
    std::map<std::pair<std::string, std::uint64_t>, Line> lines_;
    std::map<const Machine*, Seen> seen_;
    std::map<PartitionId, std::set<const Machine*>> claimants_;
    std::map<const Machine*, std::vector<PartitionId>> claims_;
    std::set<PartitionId> contested_;
    std::set<std::pair<PartitionId, NodeId>> widened_;
    Value newest_;
    bool strangers_excused_ = false;
    bool losses_excused_ = false;
    bool pools_excused_ = false;
};

}  // namespace posthorse::sim::control
