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

Outcome Simulation::run(const Scenario& scenario) {
    pool.on_left = [](Machine& machine) {
        if (!machine.retired) return;
        machine.replace_disk();  // destroyed
    };
    scenario.script(*this);
    settle();
    go_on(2s);  // and stays so, but for what is on its way at the moment
    const bool still = go_on_until([this] { return !pool.unsettled(); }, 1s);
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

bool Simulation::go_on_until(UniqueFunction<bool()> condition, Duration most) {
    const auto end = world.boot() + most;
    while (!failed() && !condition()) {
        if (world.boot() >= end) return false;
        world.run_until(world.boot() + 250ms);
    }
    return true;
}

void Simulation::settle() {
    if (failed()) return;
    pool.heal();
    const auto began = world.boot();
    go_on_until([this] { return !pool.unsettled(); }, bound());
    if (failed()) return;
    if (const auto why = pool.unsettled()) journal.fail("all should be well by now: " + *why);
    const auto took = static_cast<std::uint64_t>((world.boot() - began).count());
    journal.counts.slowest_heal = std::max(journal.counts.slowest_heal, took);
    if (!failed()) journal.note("all is well");
}

void Simulation::leave_for_good(Machine& machine) {
    machine.retired = true;
    pool.publish_directory();
    machine.begin_leaving();
}

// ------------------------------------------------------------------ trouble

Duration Simulation::some_time() {
    switch (world.below(4)) {
        case 0:
            return world.between(10ms, 500ms);
        case 1:
            return world.between(500ms, 4s);
        case 2:
            return world.between(ttl() - 500ms, ttl() + 500ms);
        default:
            return world.between(ttl(), 2 * ttl());
    }
}

void Simulation::mess(Duration time, const std::vector<Trouble>& troubles, Duration every) {
    const auto end = world.boot() + time;
    while (!failed() && world.boot() < end) {
        go_on(world.between(Duration{0}, 2 * every));
        if (!failed()) (this->*troubles[world.below(troubles.size())])();
    }
}

void Simulation::crash() {
    auto* machine = pool.any();
    if (machine == nullptr) return;
    machine->crash();
    later([machine] { machine->boot(); });
}

void Simulation::crash_leader() {
    auto* machine = pool.leader();
    if (machine == nullptr) return;
    machine->crash();
    later([machine] { machine->boot(); });
}

void Simulation::lose_power() {
    for (const auto& machine : pool.machines()) {
        if (!machine->up()) continue;
        machine->crash();
        later([one = machine.get()] { one->boot(); });
    }
}

void Simulation::stop_for_long() {
    if (auto* machine = pool.any()) machine->crash();
}

void Simulation::pause() {
    auto* machine = pool.any();
    if (machine == nullptr) return;
    machine->pause();
    later([machine] { machine->resume(); });
}

void Simulation::pause_leader() {
    auto* machine = pool.leader();
    if (machine == nullptr) return;
    machine->pause();
    later([machine] { machine->resume(); });
}

void Simulation::cut() {
    auto* machine = pool.any();
    auto* other = pool.other_than(machine);
    if (machine == nullptr || other == nullptr) return;
    switch (world.below(5)) {
        case 0:
            pool.cut_out(*machine);
            break;
        case 1:
            pool.cut_in(*machine);
            break;
        case 2:
            pool.isolate(*machine);
            break;
        case 3:
            pool.cut_link(*machine, *other);
            break;
        default:
            return split();
    }
    later([this] {
        journal.note("the network is whole");
        pool.mend();
    });
}

void Simulation::cut_leader() {
    auto* machine = pool.leader();
    if (machine == nullptr) return;
    switch (world.below(3)) {
        case 0:
            pool.cut_out(*machine);
            break;
        case 1:
            pool.cut_in(*machine);
            break;
        default:
            pool.isolate(*machine);
    }
    later([this] {
        journal.note("the network is whole");
        pool.mend();
    });
}

void Simulation::split() {
    std::vector<std::size_t> side;
    for (std::size_t index = 0; index < pool.size(); ++index) {
        if (world.chance(50)) side.push_back(index);
    }
    pool.split(side);
    later([this] {
        journal.note("the network is whole");
        pool.mend();
    });
}

void Simulation::bad_network() {
    journal.note("the network is bad");
    pool.network().quality = {.least = 1ms,
                              .most = world.between(5ms, 400ms),
                              .lost = static_cast<std::uint32_t>(world.below(400)),
                              .twice = static_cast<std::uint32_t>(world.below(200)),
                              .late = static_cast<std::uint32_t>(world.below(100)),
                              .latest = world.between(500ms, 2 * ttl())};
    later([this] {
        journal.note("the network is good");
        pool.network().quality = {};
    });
}

void Simulation::disk() {
    auto* machine = pool.any();
    if (machine == nullptr) return;
    journal.note("the disk of " + machine->label() + " is bad");
    machine->set_disk(world.chance(50) ? DiskHabit::hangs : DiskHabit::slow);
    later([machine] { machine->set_disk(DiskHabit::good); });
}

void Simulation::leader_disk() {
    auto* machine = pool.leader();
    if (machine == nullptr) return;
    journal.note("the disk of the leader " + machine->label() + " is bad");
    machine->set_disk(world.chance(70) ? DiskHabit::hangs : DiskHabit::slow);
    later([machine] { machine->set_disk(DiskHabit::good); });
}

void Simulation::hang() {
    auto* machine = pool.any();
    if (machine == nullptr) return;
    journal.note(machine->label() + " hangs");
    if (world.chance(50))
        machine->probe_hangs = true;
    else
        machine->ignores_changes = true;
    later([machine] { machine->probe_hangs = machine->ignores_changes = false; });
}

void Simulation::leave_and_return() {
    auto* machine = pool.any();
    if (machine == nullptr || pool.running() < 2 || machine->paused()) return;
    machine->begin_leaving();
}

void Simulation::replace() {}

}  // namespace posthorse::sim::control
