// One run: a pool begins, has trouble, and must be well again some time after the trouble ends.
//
// Contract  run(seed, scenario) is a function: the same arguments give the same run on every
//           machine. Scenarios (scenarios.cc) are scripts that use the tools below.
// Owner     Whoever runs it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/control/pool.h"

namespace posthorse::sim::control {

class Simulation;

struct Scenario {
    std::string_view name;
    void (*script)(Simulation&);
};
const std::vector<Scenario>& scenarios();
// In which promises must break, because what they rest on does.
const std::vector<Scenario>& scenarios_beyond();

struct Outcome {
    std::optional<std::string> violation;
    Counts counts;
    std::uint64_t simulated_ms = 0;
};
Outcome run(std::uint64_t seed, const Scenario& scenario, Story story);

// What a script does. Everything random comes from the seed.
class Simulation {
public:
    Simulation(std::uint64_t seed, Story story);
    // A pool with these settings; those of the other come from the seed.
    Simulation(std::uint64_t seed, Story story, const replication::PoolSettings& settings);

    World world;
    Journal journal;
    Pool pool;

    Outcome run(const Scenario& scenario);
    Outcome run(UniqueFunction<void()> script);

    // --- beginning
    // A pool of so many machines, by whichever way of beginning; until all is well.
    void begin(std::size_t machines);
    // The first alone, the others join it.
    void begin_by_joining(std::size_t machines);
    // All at once, by pool.expect.
    void begin_by_expecting(std::size_t machines, std::uint32_t expect);
    Machine& join();  // one more

    // --- going on. A run that has failed goes on no further.
    bool failed() const { return journal.violation().has_value(); }
    void go_on(Duration time);
    // False: it never was so.
    bool go_on_until(UniqueFunction<bool()> condition,
                     Duration most,
                     Duration step = std::chrono::milliseconds{250});
    // Ends the trouble; all must be well within the stated bound.
    void settle();
    Duration bound() const { return 3 * pool.settings().lease_ttl + std::chrono::seconds{10}; }
    Duration ttl() const { return pool.settings().lease_ttl; }

    // --- trouble
    using Trouble = void (Simulation::*)();
    // One of these now and then.
    void mess(Duration time, const std::vector<Trouble>& troubles, Duration every);
    void crash();
    void crash_leader();
    void lose_power();  // of all
    void stop_for_long();
    void pause();
    void pause_leader();
    void cut();  // some way of it
    void cut_leader();
    void split();
    void bad_network();
    void disk();
    void leader_disk();
    void hang();
    void leave_and_return();
    void operate();  // an operator drains a node, or undoes that

    Duration some_time();  // mostly short, sometimes beyond the TTL

    // Leaves, and is off for good, its disk destroyed.
    void leave_for_good(Machine& machine);
    void until_left(Machine& machine);
    void destroy(Machine& machine);

private:
    void later(UniqueFunction<void()> end) { world.after(some_time(), std::move(end)); }
};

}  // namespace posthorse::sim::control
