// One run: a pool on etcd begins, has trouble, and must be well again some time after it ends.
//
// Contract  run(seed, scenario) is a function: the same arguments give the same run on every
//           machine. Scenarios are scripts that use the tools below.
// Owner     Whoever runs it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/etcd/checker.h"
#include "tests/sim/etcd/machine.h"

namespace posthorse::sim::etcd {

using control::Story;

struct Scenario {
    std::string_view name;
    void (*script)(Simulation&);
};
const std::vector<Scenario>& scenarios();
// In which promises must break, because what they rest on does.
const std::vector<Scenario>& scenarios_beyond();

struct Outcome {
    std::optional<std::string> violation;
    control::Counts counts;
    std::uint64_t simulated_ms = 0;
};
Outcome run(std::uint64_t seed, const Scenario& scenario, Story story);

class Simulation {
public:
    Simulation(std::uint64_t seed, Story story);

    World world;
    control::Journal journal;
    Server server;
    Checker checker;

    Outcome run(const Scenario& scenario);
    const std::vector<std::unique_ptr<Machine>>& machines() const { return machines_; }
    Duration ttl() const { return settings_.lease_ttl; }

    // --- beginning, and going on. A run that has failed goes on no further.
    void begin(std::size_t machines);
    Machine& add(std::uint32_t expect);
    bool failed() const { return journal.violation().has_value(); }
    void go_on(Duration time);
    bool go_on_until(const std::function<bool()>& condition, Duration most);
    // Ends the trouble; all must be well within the stated bound.
    void settle();
    Duration bound() const { return 5 * ttl() + std::chrono::seconds{10}; }
    std::optional<std::string> unsettled() const;

    // --- trouble
    using Trouble = void (Simulation::*)();
    void mess(Duration time, const std::vector<Trouble>& troubles, Duration every);
    void crash();
    void lose_power();  // of all
    void pause();
    void cut();      // one from etcd
    void cut_all();  // etcd from all
    void bad_network();
    void restart_etcd();
    void restore_etcd();
    void back_up() { backups_.push_back(server.backup()); }
    void compact() { server.compact(); }
    void disk();
    void hang();
    void leave_and_return();
    void operate();

    Duration some_time();
    Machine* any();  // that runs, by chance; null: none
    void destroy(Machine& machine);
    std::int64_t drift_max = 10'000;  // in a million, either way

private:
    void later(UniqueFunction<void()> end) { world.after(some_time(), std::move(end)); }
    void heal();
    bool all_is_well();

    replication::PoolSettings settings_;
    std::vector<std::unique_ptr<Machine>> machines_;
    std::vector<MemoryEtcd::Held> backups_;
};

}  // namespace posthorse::sim::etcd
