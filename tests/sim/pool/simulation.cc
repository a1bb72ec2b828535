#include "tests/sim/pool/simulation.h"

#include <algorithm>

#include "tests/sim/pool/frame_text.h"

namespace posthorse::sim::pool {
namespace {

using namespace std::chrono_literals;

constexpr int messages = 60;
constexpr Duration drained_within = 4min;

replication::PoolSettings settings_of(World& world) {
    replication::PoolSettings settings;
    settings.copies = world.chance(80) ? 2 : 1 + static_cast<std::uint32_t>(world.below(3));
    settings.lease_ttl = world.chance(70) ? 4s : 10s;
    return settings;
}

}  // namespace

Outcome run(std::uint64_t seed, const Scenario& scenario, Telling telling) {
    Simulation simulation(seed, telling);
    return simulation.run(scenario);
}

Simulation::Simulation(std::uint64_t seed, Telling telling)
    : world(seed),
      journal(world, telling.story),
      network(world, journal),
      streams(world, network),
      remote(world),
      history(world, journal, counts),
      pool{surroundings(), settings_of(world)},
      clients(pool) {
    if (world.chance(30)) streams.weight = 100 + world.below(400);
    if (world.chance(20)) streams.window_bytes = 2 * 1024;
    if (telling.frames) tell_frames(*telling.frames);
    // Whoever wants three copies of a pool of two, and refuses fewer, gets no mail.
    if (pool.settings().copies > 2)
        pool.around().queue.when_short = replication::ShortPolicy::degrade;
}

void Simulation::tell_frames(PartitionId partition) {
    streams.witness = [this, partition](std::size_t from, std::size_t to, const Frame& frame) {
        if (replication::slice_of(frame).partition != partition) return;
        journal.note(pool.machine(from).label() + " -> " + pool.machine(to).label() + " " +
                     to_text(frame));
    };
}

replication::ReplicatedQueue::Settings Simulation::queue_settings() {
    replication::ReplicatedQueue::Settings settings;
    settings.replication_timeout = 8s;
    settings.drift_margin = 300ms;
    settings.in_doubt_wait = 8s;
    settings.poison_attempts = 0;  // nodes die here more often than any message could make them
    using replication::InDoubtPolicy;
    if (world.chance(15)) settings.in_doubt = InDoubtPolicy::hold;
    if (world.chance(15)) settings.in_doubt = InDoubtPolicy::bounce;
    history.in_doubt_may_bounce = settings.in_doubt == InDoubtPolicy::bounce;
    if (world.chance(15)) settings.when_short = replication::ShortPolicy::refuse;
    if (world.chance(20)) settings.heal_bytes_per_second = 2'000;
    return settings;
}

Surroundings Simulation::surroundings() {
    return {world, journal, network, streams, remote, history, counts, pool, queue_settings()};
}

Outcome Simulation::run(const Scenario& scenario) {
    journal.note("scenario " + std::string(scenario.name));
    pool.on_left = [this](Machine& machine) {
        if (machine.left_all && !machine.votes_alone() && world.chance(50)) machine.replace_disk();
        machine.boot_after(some_time());
    };
    scenario.script(*this);
    heal();
    settle();
    compare();
    drain();
    if (!over()) history.check_end();
    constexpr auto list_end = Frame(replication::ListEnd{}).index();
    constexpr auto pull = Frame(replication::Pull{}).index();
    counts.listings = streams.arrived()[list_end];
    counts.pulls = streams.arrived()[pull];
    return {pool.rolled_back ? std::nullopt : journal.violation(), counts,
            static_cast<std::uint64_t>(world.boot().time_since_epoch().count())};
}

// ------------------------------------------------------------------ beginning

void Simulation::begin(std::size_t machines) {
    const bool joins = machines == 1 || world.chance(50);
    const auto expect = static_cast<std::uint32_t>(machines / 2 + 1);
    for (std::size_t made = 0; made < machines; ++made) {
        if (joins)
            pool.add({.alone = made == 0, .expect = 0});
        else
            pool.add({.alone = false, .expect = expect});
    }
    for (const auto& machine : pool.machines()) machine->boot();
    settle();
}

Machine& Simulation::join() {
    auto& machine = pool.add({});
    machine.boot();
    return machine;
}

// ------------------------------------------------------------------ going on

void Simulation::go_on(Duration time) {
    const auto end = world.boot() + time;
    while (!over() && world.boot() < end) world.run_until(std::min(end, world.boot() + 500ms));
}

bool Simulation::go_on_until(UniqueFunction<bool()> condition, Duration most, Duration step) {
    const auto end = world.boot() + most;
    while (!over() && !condition()) {
        if (world.boot() >= end) return false;
        world.run_until(world.boot() + step);
    }
    return true;
}

void Simulation::mess(Duration time, const std::vector<Trouble>& troubles, Duration every) {
    healed_ = false;
    clients.send(messages, time);
    const auto end = world.boot() + time;
    while (!over() && world.boot() < end) {
        go_on(world.between(Duration{0}, 2 * every));
        if (!over()) (this->*troubles[world.below(troubles.size())])();
    }
}

void Simulation::heal() {
    journal.note("all trouble ends");
    healed_ = true;
    network.mend_all();
    network.quality = {};
    network.swallows = {};
    streams.delay_most = Duration{8};
    remote.heal();
    clients.calm_down();
    for (const auto& machine : pool.machines()) {
        machine->held = false;
        machine->pace({});
        machine->limit_room(UINT64_MAX);
        machine->set_wall();
        machine->go_on();
        if (!machine->retired) machine->boot();
    }
}

// Whoever was drained and not resumed is resumed, also when what was asked of a node that could not
// be reached is carried out late.
void Simulation::resume_drained() {
    const auto* pool_value = pool.newest();
    auto* machine = pool.serving();
    if (pool_value == nullptr || machine == nullptr) return;
    for (const auto& member : pool_value->members) {
        const auto* drained = pool.with(member.id);
        if (member.draining && drained != nullptr && drained->serves())
            machine->node()->control().propose(replication::SetDraining{member.id, false},
                                               [](Result<void>) {});
    }
}

void Simulation::settle() {
    const auto bound = 3 * ttl() + 40s;
    const auto well = [this] {
        resume_drained();
        return !pool.unsettled();
    };
    go_on_until(well, bound, 1s);
    if (over()) return;
    if (const auto why = pool.unsettled()) {
        for (const auto& machine : pool.machines())
            journal.note(machine->label() + ": " + machine->story());
        journal.fail("all should be well by now: " + *why);
    }
    if (!over()) journal.note("all is well");
}

// While no remote can be reached little changes: copies of a partition that are in sync must get to
// be equal.
void Simulation::compare() {
    if (over()) return;
    remote.set_all(Mood::unreachable);
    const bool equal = go_on_until([this] { return !pool.different(); }, 30s, 50ms);
    if (!equal) journal.fail("copies differ: " + *pool.different());
    remote.set_all({});
}

bool Simulation::drained() {
    return clients.all_heard() && history.all_ended() && pool.messages().empty() &&
           !pool.unsettled();
}

void Simulation::drain() {
    for (Duration waited{}; waited < drained_within && !over() && !drained(); waited += 2s) {
        clients.resume_all();
        resume_drained();
        go_on(2s);
    }
    if (over() || drained()) return;
    if (!clients.all_heard())
        return journal.fail(std::to_string(clients.unheard()) + " clients never got their 250");
    history.check_end();
    const auto left = pool.messages();
    if (!left.empty())
        history.fail(left.front().id, std::to_string(left.size()) + " messages are stuck");
    if (const auto why = pool.unsettled()) journal.fail("all was well, and then: " + *why);
}

}  // namespace posthorse::sim::pool
