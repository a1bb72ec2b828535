// All machines of a run, and what one knows of them who sees all.
//
// Place     Scenarios act on it; Simulation makes it.
// Contract  newest() is the newest value that anybody knows to be committed.
//           unsettled() says what is not yet as it must be some time after all trouble: everybody
//           takes mail, and every partition with mail has its owner and its copies.
//           different() says which copies of holders in sync are not equal; equal they must be
//           whenever nothing is under way.
// Owner     One Simulation.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/pool/machine.h"

namespace posthorse::sim::pool {

class Pool final : public Overseer {
public:
    Pool(Surroundings around, replication::PoolSettings settings);

    Surroundings& around() { return around_; }
    const replication::PoolSettings& settings() const { return settings_; }
    const std::vector<std::unique_ptr<Machine>>& machines() const { return machines_; }
    Machine& machine(std::size_t index) { return *machines_[index]; }
    std::size_t size() const { return machines_.size(); }

    struct Kind {
        bool alone = false;
        std::uint32_t expect = 0;
    };
    Machine& add(Kind kind);
    std::vector<std::string> addresses() const;
    ProcessNumber next_process() { return ++processes_; }
    void forget(const Machine& machine);
    void estranged(const Machine& machine, const std::string& why);
    void has_left(Machine& machine);
    UniqueFunction<void(Machine&)> on_left;
    bool strangers_excused = false;
    // A node goes on with a disk that went back: nobody who knew better was there to be asked. From
    // here on nothing is promised.
    bool rolled_back = false;

    // --- who
    Machine* leader();
    Machine* any();  // running, by chance; null: none
    Machine* other_than(const Machine* one);
    Machine* serving();  // takes mail, by chance
    Machine* owner_of(QueueId id);
    Machine* with(const NodeId& node);
    const Machine* with(const NodeId& node) const;
    std::vector<Machine*> wanted();  // not off for good

    // --- what is held where
    const PoolState* newest() const { return newest_ ? &*newest_ : nullptr; }
    // Messages of a partition, as one disk has them.
    std::vector<Envelope> messages(const Machine& machine, PartitionId partition) const;
    std::vector<Envelope> messages() const;  // as the owners have them
    // Somebody else in sync has the message whole too.
    bool held_by_others(const Machine& machine, const Envelope& envelope) const;
    std::set<QueueId> damaged;  // not compared
    // Of everything that was accepted somebody else has a copy in sync, and the others can decide.
    // They need not run: when their copy is dropped from the set before the pool can know that this
    // machine is lost, an operator removes it, and they go on.
    bool can_be_spared(const Machine& machine) const;

    // --- Overseer
    void stepped(const SimControl& control) override;
    bool owns(const SimControl& control, QueueId id) const override;
    std::vector<Custody> custody(const Envelope& envelope) const override;
    std::optional<std::string> ignorant(QueueId id,
                                        std::uint32_t attempt,
                                        BootTime since) const override;

    // --- is all well?
    std::optional<std::string> unsettled() const;
    std::optional<std::string> different() const;

private:
    bool decides_without(const Machine& machine) const;
    void new_value(const PoolState& value);
    void check_value(const PoolState& value);
    void count_step(const PoolState& before, const PoolState& after);
    std::optional<std::string> unsettled_node(const Machine& machine) const;
    std::optional<std::string> unsettled_partitions() const;

    Surroundings around_;
    const replication::PoolSettings settings_;
    std::vector<std::unique_ptr<Machine>> machines_;
    std::optional<PoolState> newest_;
    std::map<const SimControl*, PoolVersion> seen_;
    ProcessNumber processes_ = 0;
    bool zones_ = false;
};

}  // namespace posthorse::sim::pool
