// One run: a pool begins, takes mail and has trouble; the trouble ends, and some time later every
// message must have come to its end.
//
// Contract  run(seed, scenario) is a function: the same arguments give the same run on every
//           machine. Scenarios (scenarios.cc) are scripts that use the tools below (trouble.cc).
// Owner     Whoever runs it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/pool/clients.h"
#include "tests/sim/pool/pool.h"

namespace posthorse::sim::pool {

class Simulation;

struct Scenario {
    std::string_view name;
    void (*script)(Simulation&);
};
const std::vector<Scenario>& scenarios();

struct Outcome {
    std::optional<std::string> violation;
    Counts counts;
    std::uint64_t simulated_ms = 0;
};
struct Telling {
    control::Story story = control::Story::untold;
    std::optional<PartitionId> frames;  // of this partition are told too
};
Outcome run(std::uint64_t seed, const Scenario& scenario, Telling telling);

class Simulation {
public:
    Simulation(std::uint64_t seed, Telling telling);

    World world;
    control::Journal journal;
    Counts counts;
    control::Network network;
    StreamNetwork streams;
    Remote remote;
    History history;
    Pool pool;
    Clients clients;

    Outcome run(const Scenario& scenario);

    // --- beginning
    // A pool of so many machines, one of them or all at once; until all is well.
    void begin(std::size_t machines);
    Machine& join();  // one more

    // --- going on
    bool over() const { return journal.violation() || pool.rolled_back; }
    void go_on(Duration time);
    // False: it never was so.
    bool go_on_until(UniqueFunction<bool()> condition,
                     Duration most,
                     Duration step = std::chrono::milliseconds{250});
    void heal();
    // All must be well within the stated bound.
    void settle();
    Duration ttl() const { return pool.settings().lease_ttl; }

    // --- trouble
    using Trouble = void (Simulation::*)();
    // One of these now and then, while clients send.
    void mess(Duration time, const std::vector<Trouble>& troubles, Duration every);
    void kill();
    void lose_power();
    void lose_all_power();
    void stop_for_long();
    void pause();
    void cut();
    void split();
    void bad_network();
    void slow_disk();
    void hanging_disk();
    void full_disk();
    void fail_sync();
    void jump_wall();
    void new_disk();
    void remove(NodeId gone);
    void old_disk();
    void damage();
    void mood();
    void operate();
    void leave_and_return();
    void drain_and_resume();

    Duration some_time();  // mostly short, sometimes beyond the TTL

private:
    Surroundings surroundings();
    void tell_frames(PartitionId partition);
    replication::ReplicatedQueue::Settings queue_settings();
    bool drained();
    void drain();
    void compare();
    void resume_drained();
    void later(UniqueFunction<void()> end) { world.after(some_time(), std::move(end)); }

    bool healed_ = true;
};

}  // namespace posthorse::sim::pool
