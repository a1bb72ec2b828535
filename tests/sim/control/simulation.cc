#include "tests/sim/control/simulation.h"

#include <algorithm>

namespace posthorse::sim::control {
namespace {

using namespace std::chrono_literals;

replication::PoolSettings settings_of(World& world) {
    replication::PoolSettings settings;
    settings.copies = world.chance(80) ? 2 : 1 + static_cast<std::uint32_t>(world.below(3));
    settings.lease_ttl = world.chance(70) ? 4s : 10s;
    return settings;
}

}  // namespace

Outcome run(std::uint64_t seed, const Scenario& scenario, Story story) {
    Simulation simulation(seed, story);
    return simulation.run(scenario);
}

Simulation::Simulation(std::uint64_t seed, Story story)
    : world(seed), journal(world, story), pool(world, journal, settings_of(world)) {}

Simulation::Simulation(std::uint64_t seed, Story story, const replication::PoolSettings& settings)
    : world(seed), journal(world, story), pool(world, journal, settings) {}

Outcome Simulation::run(const Scenario& scenario) {
    return run([this, &scenario] { scenario.script(*this); });
}

Outcome Simulation::run(UniqueFunction<void()> script) {
    pool.on_left = [this](Machine& machine) {
        // Whoever votes alone has not left to others what the pool is.
        if (!machine.votes_alone() && (machine.retired || world.chance(50))) machine.replace_disk();
        if (!machine.retired) world.after(some_time(), [&machine] { machine.boot(); });
    };
    script();
    settle();
    go_on(2s);  // and stays so, but for what is on its way at the moment
    const bool still = go_on_until([this] { return !pool.unsettled(); }, 3 * ttl());
    if (!still && !failed()) journal.fail("all was well, and then: " + *pool.unsettled());
    pool.checker().finish();
    return {journal.violation(), journal.counts,
            static_cast<std::uint64_t>(world.boot().time_since_epoch().count())};
}

// ------------------------------------------------------------------ beginning

void Simulation::begin(std::size_t machines) {
    if (world.chance(50))
        begin_by_joining(machines);
    else
        begin_by_expecting(machines, static_cast<std::uint32_t>(machines / 2 + 1));
}

void Simulation::begin_by_joining(std::size_t machines) {
    for (std::size_t made = 0; made < machines; ++made) pool.add({.alone = made == 0, .expect = 0});
    for (const auto& machine : pool.machines()) machine->boot();
    settle();
}

void Simulation::begin_by_expecting(std::size_t machines, std::uint32_t expect) {
    for (std::size_t made = 0; made < machines; ++made)
        pool.add({.alone = false, .expect = expect});
    for (const auto& machine : pool.machines()) {
        world.after(world.between(0ms, 1500ms), [one = machine.get()] { one->boot(); });
    }
    go_on(1500ms);
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
    while (!failed() && world.boot() < end) world.run_until(std::min(end, world.boot() + 500ms));
}

bool Simulation::go_on_until(UniqueFunction<bool()> condition, Duration most, Duration step) {
    const auto end = world.boot() + most;
    while (!failed() && !condition()) {
        if (world.boot() >= end) return false;
        world.run_until(world.boot() + step);
    }
    return true;
}

void Simulation::settle() {
    if (failed()) return;
    pool.heal();
    const auto began = world.boot();
    go_on_until([this] { return !pool.unsettled(); }, bound());
    if (failed()) return;
    if (const auto why = pool.unsettled()) {
        for (const auto& machine : pool.machines())
            journal.note(machine->label() + ": " + machine->story());
        journal.fail("all should be well by now: " + *why);
    }
    const auto took = static_cast<std::uint64_t>((world.boot() - began).count());
    journal.counts.slowest_heal = std::max(journal.counts.slowest_heal, took);
    if (!failed()) journal.note("all is well");
}

void Simulation::leave_for_good(Machine& machine) {
    machine.retired = true;
    pool.publish_directory();
    machine.begin_leaving();
}

void Simulation::until_left(Machine& machine) {
    const auto gone = [&] { return machine.left.has_value(); };
    if (go_on_until(gone, bound()) || failed()) return;
    journal.fail(machine.label() + " should have left by now: " + machine.story());
}

void Simulation::destroy(Machine& machine) {
    journal.note(machine.label() + " is lost with its disk");
    machine.retired = true;
    machine.crash();
    machine.replace_disk();
    pool.publish_directory();
}

}  // namespace posthorse::sim::control
