// What goes wrong in a run.
#include "tests/sim/control/simulation.h"

namespace posthorse::sim::control {

using namespace std::chrono_literals;

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
    pool.trouble();
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
    if (machine == nullptr || pool.running() < 2) return;
    machine->begin_leaving();
}

void Simulation::operate() {
    auto* machine = pool.any();
    auto* other = pool.any();
    if (machine != nullptr && other != nullptr)
        machine->set_draining(other->node(), world.chance(20));
}

}  // namespace posthorse::sim::control
