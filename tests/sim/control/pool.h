// All machines of a run, what an operator and bad luck do to them, and whether all is well.
//
// Place     Scenarios act on it; Simulation makes it.
// Contract  heal() ends all trouble. unsettled() says what is not yet as it must be some time
// later:
//           one leader, everybody running with a lease, votes and partitions where they belong.
// Owner     One Simulation.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/control/checker.h"
#include "tests/sim/control/machine.h"
#include "tests/sim/control/network.h"

namespace posthorse::sim::control {

class Pool {
public:
    Pool(World& world, Journal& journal, replication::PoolSettings settings)
        : world_(world),
          journal_(journal),
          settings_(settings),
          network_(world, journal),
          checker_(*this, journal) {}

    World& world() { return world_; }
    Journal& journal() { return journal_; }
    Network& network() { return network_; }
    Checker& checker() { return checker_; }
    const replication::PoolSettings& settings() const { return settings_; }
    const std::vector<std::unique_ptr<Machine>>& machines() const { return machines_; }
    Machine& machine(std::size_t index) { return *machines_[index]; }
    std::size_t size() const { return machines_.size(); }

    // A machine more; nothing runs on it yet.
    struct Kind {
        bool alone = false;
        std::uint32_t expect = 0;
    };
    Machine& add(Kind kind);
    // pool.join of every machine names all that are.
    void publish_directory();
    // Of these, and of others by that chance.
    std::vector<std::string> some_addresses(const std::vector<std::size_t>& machines,
                                            std::uint32_t percent);

    // --- who
    Machine* leader();
    Machine* other_than(const Machine* one);  // running, by chance; null: none
    Machine* any();
    std::size_t running() const;
    std::vector<Machine*> wanted();  // not off for good

    // --- trouble
    void isolate(const Machine& machine);
    void cut_out(const Machine& machine);  // what it sends is lost
    void cut_in(const Machine& machine);   // what it should hear is lost
    void cut_link(const Machine& one, const Machine& other);
    void split(const std::vector<std::size_t>& side);
    void mend() { network_.mend_all(); }
    void heal();
    bool healed() const { return healed_; }
    void trouble() { healed_ = false; }

    // Can `from` exchange messages with the process of that node?
    bool reaches(const Machine& from, const NodeId& node) const;
    // A machine whose process has left calls.
    void has_left(Machine& machine);
    UniqueFunction<void(Machine&)> on_left;

    std::optional<std::string> unsettled();
    std::int64_t drift_max = 10'000;  // in a million, either way
    // Owners hand over now and then, for no reason.
    bool restless = true;
    // Looks at the processor's clock around every event of a core; no run depends on what it says.
    bool measures_work = false;

private:
    std::optional<std::string> unsettled_node(const Machine& machine, const NodeId& leader) const;
    std::optional<std::string> unsettled_votes(const Machine& leader) const;
    std::optional<std::string> unsettled_partitions() const;

    World& world_;
    Journal& journal_;
    const replication::PoolSettings settings_;
    Network network_;
    Checker checker_;
    std::vector<std::unique_ptr<Machine>> machines_;
    bool zones_ = false;
    bool healed_ = false;
};

}  // namespace posthorse::sim::control
