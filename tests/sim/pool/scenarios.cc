// The scripts.
#include "tests/sim/pool/simulation.h"

namespace posthorse::sim::pool {
namespace {

using namespace std::chrono_literals;
using S = Simulation;

constexpr Duration trouble_time = 50s;

std::size_t several(S& s) {
    return s.world.chance(70) ? 3 : 2 + s.world.below(4);
}

void quiet(S& s) {
    s.begin(several(s));
    s.mess(20s, {&S::mood}, 2s);
}

// A pool of one keeps one copy.
void alone(S& s) {
    s.begin(1);
    s.mess(trouble_time,
           {&S::kill, &S::lose_power, &S::fail_sync, &S::slow_disk, &S::hanging_disk, &S::full_disk,
            &S::pause, &S::jump_wall, &S::mood, &S::operate},
           2s);
}

void kills(S& s) {
    s.begin(several(s));
    s.mess(trouble_time, {&S::kill, &S::kill, &S::mood, &S::operate}, 1500ms);
}

void power(S& s) {
    s.begin(several(s));
    s.mess(trouble_time,
           {&S::lose_power, &S::lose_power, &S::lose_all_power, &S::kill, &S::slow_disk, &S::mood},
           2500ms);
}

void cuts(S& s) {
    s.begin(several(s));
    s.mess(trouble_time, {&S::cut, &S::cut, &S::mood, &S::operate}, 2s);
}

void pauses(S& s) {
    s.begin(several(s));
    s.mess(trouble_time, {&S::pause, &S::pause, &S::mood, &S::operate}, 1500ms);
}

void disks(S& s) {
    s.begin(several(s));
    s.mess(trouble_time,
           {&S::slow_disk, &S::hanging_disk, &S::fail_sync, &S::kill, &S::lose_power, &S::mood},
           2s);
}

// Holders and owners without room, and a leader that cannot be asked for other holders.
void full_disks(S& s) {
    s.begin(several(s));
    s.mess(trouble_time,
           {&S::full_disk, &S::full_disk, &S::cut, &S::bad_network, &S::kill, &S::lose_power,
            &S::mood},
           1500ms);
}

void clocks(S& s) {
    s.begin(several(s));
    s.mess(trouble_time, {&S::jump_wall, &S::pause, &S::cut, &S::kill, &S::mood}, 1500ms);
}

void bad_network(S& s) {
    s.begin(several(s));
    s.mess(trouble_time, {&S::bad_network, &S::bad_network, &S::kill, &S::cut, &S::mood}, 3s);
}

void two(S& s) {
    s.begin(2);
    s.mess(trouble_time, {&S::cut, &S::cut, &S::kill, &S::pause, &S::lose_power, &S::slow_disk},
           2500ms);
}

void five(S& s) {
    s.begin(5);
    s.mess(trouble_time,
           {&S::kill, &S::cut, &S::split, &S::pause, &S::lose_power, &S::slow_disk, &S::full_disk,
            &S::mood},
           1s);
}

void mix(S& s) {
    s.begin(several(s));
    s.mess(trouble_time,
           {&S::kill, &S::lose_power, &S::lose_all_power, &S::stop_for_long, &S::pause, &S::cut,
            &S::split, &S::bad_network, &S::slow_disk, &S::hanging_disk, &S::full_disk,
            &S::fail_sync, &S::jump_wall, &S::mood, &S::operate},
           2s);
}

// Disks are lost, and come back from the past.
void new_disks(S& s) {
    s.begin(several(s));
    s.mess(trouble_time, {&S::new_disk, &S::kill, &S::mood, &S::operate}, 4s);
}

void old_disks(S& s) {
    s.begin(several(s));
    s.mess(trouble_time, {&S::old_disk, &S::old_disk, &S::kill, &S::mood}, 3s);
}

// In a pool of two whoever was away is the one that is invited: the good copy comes back. In larger
// ones a copy that rots while the other is away is beyond what two copies can bear.
void damage(S& s) {
    s.begin(2);
    s.mess(trouble_time, {&S::damage, &S::damage, &S::kill, &S::mood}, 1s);
}

// Owners lose what they own while a remote takes its time.
void late_replies(S& s) {
    s.begin(several(s));
    s.remote.set_all(Mood::slow);
    s.mess(trouble_time, {&S::cut, &S::cut, &S::pause}, 4s);
}

// Every machine gives way to one with an empty disk, one after another, under load.
void replace_all(S& s) {
    s.begin(3);
    s.pool.on_left = [&s](Machine& machine) {
        if (!machine.left_all) s.journal.fail(machine.label() + " left, and had mail of its own");
        if (s.over()) return;
        s.counts.new_disks += 1;
        machine.replace_disk();
        machine.boot_after(s.some_time());
    };
    s.clients.send(60, 60s);
    for (auto* machine : s.pool.wanted()) {
        const auto before = machine->id();
        machine->leave(30s);
        const auto replaced = [&] { return machine->id() != before && !s.pool.unsettled(); };
        if (!s.go_on_until(replaced, 100s) && !s.over())
            s.journal.fail(machine->label() + " was not replaced: " + machine->story());
    }
}

void leaves(S& s) {
    s.begin(several(s));
    s.mess(trouble_time,
           {&S::leave_and_return, &S::leave_and_return, &S::bad_network, &S::kill, &S::cut,
            &S::pause, &S::mood},
           4s);
}

void drains(S& s) {
    s.begin(several(s));
    s.mess(trouble_time,
           {&S::drain_and_resume, &S::drain_and_resume, &S::cut, &S::bad_network, &S::mood}, 2s);
}

const std::vector<Scenario> all = {
    {"quiet", quiet},
    {"alone", alone},
    {"kills", kills},
    {"power", power},
    {"cuts", cuts},
    {"pauses", pauses},
    {"disks", disks},
    {"clocks", clocks},
    {"bad_network", bad_network},
    {"two", two},
    {"five", five},
    {"mix", mix},
    {"new_disks", new_disks},
    {"old_disks", old_disks},
    {"damage", damage},
    {"late_replies", late_replies},
    {"replace_all", replace_all},
    {"leaves", leaves},
    {"drains", drains},
    {"full_disks", full_disks},
};

}  // namespace

const std::vector<Scenario>& scenarios() {
    return all;
}

}  // namespace posthorse::sim::pool
