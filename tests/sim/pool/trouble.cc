// What goes wrong in a run.
#include "tests/sim/pool/simulation.h"

namespace posthorse::sim::pool {

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

// ------------------------------------------------------------------ processes

void Simulation::kill() {
    auto* machine = pool.any();
    if (machine == nullptr) return;
    machine->kill();
    machine->boot_after(some_time());
}

void Simulation::lose_power() {
    auto* machine = pool.any();
    if (machine == nullptr) return;
    machine->lose_power();
    machine->boot_after(some_time());
}

void Simulation::lose_all_power() {
    for (const auto& machine : pool.machines()) {
        if (!machine->runs()) continue;
        machine->lose_power();
        machine->boot_after(some_time());
    }
}

void Simulation::stop_for_long() {
    if (auto* machine = pool.any()) machine->kill();
}

void Simulation::pause() {
    auto* machine = pool.any();
    if (machine == nullptr) return;
    machine->pause();
    later([machine] { machine->go_on(); });
}

void Simulation::leave_and_return() {
    auto* machine = pool.serving();
    if (machine != nullptr && pool.wanted().size() > 1) machine->leave(world.between(2s, 20s));
}

// Also while the first is not carried out yet.
void Simulation::drain_and_resume() {
    auto* machine = pool.serving();
    auto* other = pool.serving();
    if (machine == nullptr || pool.wanted().size() < 2) return;
    const auto node = machine->id();
    journal.note("an operator drains " + machine->label());
    const auto ask = [node](Machine& asked, bool draining) {
        if (asked.serves())
            asked.node()->control().propose(replication::SetDraining{node, draining},
                                            [](Result<void>) {});
    };
    ask(*other, true);
    later([this, machine, other, ask] {
        journal.note("an operator resumes " + machine->label());
        ask(*other, false);
    });
}

// ------------------------------------------------------------------ the network

void Simulation::cut() {
    auto* machine = pool.any();
    auto* other = pool.other_than(machine);
    if (machine == nullptr || other == nullptr) return;
    counts.cuts += 1;
    const auto way = world.below(5);
    journal.note("cut, way " + std::to_string(way) + ": " + machine->label() + " " +
                 other->label());
    if (way == 4) return split();
    for (const auto& one : pool.machines()) {
        const bool concerned = one.get() != machine && (way != 3 || one.get() == other);
        if (concerned && way != 1) network.cut(machine->index(), one->index());
        if (concerned && way != 0) network.cut(one->index(), machine->index());
    }
    later([this] {
        journal.note("the network is whole");
        network.mend_all();
    });
}

void Simulation::split() {
    std::vector<bool> side;
    for (const auto& machine : pool.machines()) side.push_back(machine && world.chance(50));
    for (std::size_t one = 0; one < side.size(); ++one) {
        for (std::size_t other = 0; other < side.size(); ++other) {
            if (side[one] != side[other]) network.cut(one, other);
        }
    }
    later([this] {
        journal.note("the network is whole");
        network.mend_all();
    });
}

void Simulation::bad_network() {
    journal.note("the network is bad");
    network.quality = {.least = 1ms,
                       .most = world.between(5ms, 400ms),
                       .lost = static_cast<std::uint32_t>(world.below(300)),
                       .twice = static_cast<std::uint32_t>(world.below(200)),
                       .late = static_cast<std::uint32_t>(world.below(100)),
                       .latest = world.between(500ms, 2 * ttl())};
    streams.delay_most = world.between(8ms, 900ms);
    later([this] {
        journal.note("the network is good");
        network.quality = {};
        streams.delay_most = Duration{8};
    });
}

// ------------------------------------------------------------------ disks and clocks

void Simulation::slow_disk() {
    auto* machine = pool.any();
    if (machine == nullptr) return;
    journal.note("the disk of " + machine->label() + " is slow");
    machine->pace({.least = 1ms, .most = world.between(20ms, 500ms)});
    later([machine] { machine->pace({}); });
}

void Simulation::hanging_disk() {
    auto* machine = pool.any();
    if (machine == nullptr) return;
    journal.note("the disk of " + machine->label() + " hangs");
    machine->pace({.hangs = true});
    later([machine] { machine->pace({}); });
}

// From nothing at all to a few records.
void Simulation::full_disk() {
    auto* machine = pool.any();
    if (machine == nullptr) return;
    const auto room = world.chance(30) ? 0 : world.below(1000);
    journal.note("the disk of " + machine->label() + " has room for " + std::to_string(room) +
                 " octets");
    counts.full_disks += 1;
    machine->limit_room(room);
    later([machine] { machine->limit_room(UINT64_MAX); });
}

void Simulation::fail_sync() {
    if (auto* machine = pool.any()) machine->fail_next_sync();
}

void Simulation::jump_wall() {
    auto* machine = pool.any();
    if (machine == nullptr) return;
    const auto by = world.between(-20s, 20s);
    journal.note("the wall clock of " + machine->label() + " jumps by " +
                 std::to_string(by.count()) + " ms");
    machine->jump_wall(by);
}

void Simulation::new_disk() {
    auto* machine = pool.any();
    if (machine == nullptr || !pool.can_be_spared(*machine)) return;
    counts.new_disks += 1;
    const auto gone = machine->id();
    machine->lose_power();
    machine->replace_disk();
    machine->boot_after(some_time());
    world.after(2 * ttl() + some_time(), [this, gone] { remove(gone); });
}

// Again and again: while no node leads, or the pool believes that it lives, it cannot be removed.
void Simulation::remove(NodeId gone) {
    if (pool.newest()->member(gone) == nullptr) return;
    if (auto* other = pool.serving())
        other->node()->control().propose(replication::RemoveMember{gone, replication::Lost::accept},
                                         [](Result<void>) {});
    world.after(1s, [this, gone] { remove(gone); });
}

// Only one that the pool can recognise; others are outside the promises.
void Simulation::old_disk() {
    auto* machine = pool.any();
    if (machine == nullptr) return;
    const auto old = std::make_shared<Disk>(machine->disk());
    journal.note("a copy of the disk of " + machine->label() + " is made");
    world.after(world.between(5s, 25s), [this, machine, old] {
        const auto* member = pool.newest()->member(old->record.self);
        const auto& accepted = old->record.agreement.accepted;
        const bool seen =
            member != nullptr &&
            (member->incarnation.counter > old->record.incarnation.counter ||
             member->acknowledged > replication::Place{accepted.term, accepted.version});
        if (healed_ || !machine->runs() || machine->id() != old->record.self || !seen ||
            !pool.can_be_spared(*machine))
            return;
        counts.old_disks += 1;
        machine->lose_power();
        journal.note(machine->label() + ": its disk goes back");
        pool.strangers_excused = true;
        machine->restore(*old);
        machine->boot_after(some_time());
        const auto gone = old->record.self;
        world.after(2 * ttl() + some_time(), [this, machine, gone] {
            if (machine->id() != gone) remove(gone);
        });
    });
}

// A record of which somebody else has a copy.
void Simulation::damage() {
    const auto known = pool.messages();
    if (known.empty()) return;
    const auto& chosen = known[world.below(known.size())];
    const auto* partition = pool.newest()->find(chosen.id.partition());
    auto* machine = pool.with(partition->in_sync[world.below(partition->in_sync.size())]);
    if (machine == nullptr || !pool.held_by_others(*machine, chosen)) return;
    if (!pool.damaged.insert(chosen.id).second) return;
    counts.damaged += 1;
    history.rotted(chosen.id);
    history.tell(chosen.id, "its record at " + machine->label() + " rots");
    machine->damage(chosen.id);
}

// ------------------------------------------------------------------ the others

void Simulation::mood() {
    const auto destination =
        std::string("mx:") + static_cast<char>('a' + world.below(4)) + ".example";
    remote.set_mood(destination, static_cast<Mood>(world.below(moods)));
}

void Simulation::operate() {
    clients.operate();
}

}  // namespace posthorse::sim::pool
