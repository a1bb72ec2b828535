// The scripts.
#include "tests/sim/etcd/simulation.h"

namespace posthorse::sim::etcd {
namespace {

using namespace std::chrono_literals;
using S = Simulation;

std::size_t some_machines(S& s) {
    return 1 + s.world.below(5);
}

std::size_t several(S& s) {
    return 2 + s.world.below(4);
}

void quiet(S& s) {
    s.begin(some_machines(s));
    s.go_on(5s);
    if (!s.failed() && s.journal.counts.evictions > 0)
        s.journal.fail("somebody was evicted, and nothing had happened");
}

void mix(S& s) {
    s.begin(some_machines(s));
    s.mess(30s,
           {&S::crash, &S::lose_power, &S::pause, &S::cut, &S::cut_all, &S::bad_network,
            &S::restart_etcd, &S::compact, &S::disk, &S::hang, &S::leave_and_return, &S::operate},
           1500ms);
}

void crashes(S& s) {
    s.begin(some_machines(s));
    s.mess(30s, {&S::crash, &S::crash, &S::lose_power}, 1500ms);
}

void cuts(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::cut, &S::cut, &S::cut_all, &S::pause}, 2s);
}

void pauses(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::pause, &S::pause, &S::crash}, 1500ms);
}

void drift(S& s) {
    s.drift_max = 24'000;
    s.begin(several(s));
    s.mess(30s, {&S::cut, &S::pause, &S::crash, &S::bad_network}, 2s);
}

void unknowns(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::bad_network, &S::bad_network, &S::operate, &S::crash, &S::pause}, 1500ms);
}

void restarts(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::restart_etcd, &S::restart_etcd, &S::compact, &S::crash, &S::cut}, 2s);
}

void hung(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::hang, &S::disk, &S::crash, &S::operate}, 2s);
}

void leaves(S& s) {
    s.begin(several(s));
    s.mess(25s, {&S::leave_and_return, &S::leave_and_return, &S::crash, &S::cut, &S::operate}, 2s);
}

// All are cut off and come back: whoever runs is the one that ran.
void all_cut(S& s) {
    s.begin(several(s));
    const auto evictions = s.journal.counts.evictions;
    for (int round = 0; round < 2 && !s.failed(); ++round) {
        for (const auto& machine : s.machines()) s.server.cut(machine->link());
        s.go_on(s.some_time());
        s.server.mend_all();
        s.settle();
    }
    if (!s.failed() && s.journal.counts.evictions > evictions)
        s.journal.fail("somebody was evicted, though all were cut off alike");
}

// One value is carried out while its node hears of nothing: renewals that do not depend on it would
// let two act.
void cut_off(S& s) {
    s.begin(several(s));
    for (int round = 0; round < 3 && !s.failed(); ++round) {
        s.cut();
        s.mess(s.ttl(), {&S::operate, &S::crash, &S::leave_and_return}, 1s);
    }
}

// --- what went back

void restores(S& s) {
    s.begin(several(s));
    s.back_up();
    s.mess(30s,
           {&S::restore_etcd, &S::back_up, &S::back_up, &S::crash, &S::cut, &S::operate, &S::pause},
           2s);
}

// One does not hear of what is lost, and comes back after.
void restore_and_return(S& s) {
    s.begin(several(s));
    s.back_up();
    auto* machine = s.any();
    if (s.failed() || machine == nullptr) return;
    if (s.world.chance(50))
        s.server.cut(machine->link());
    else
        machine->crash();
    s.go_on(s.ttl() + s.world.between(1s, 4s));
    s.mess(2s, {&S::operate}, 500ms);
    auto* other = s.any();
    if (other != nullptr && s.world.chance(50)) s.server.cut(other->link());
    s.restore_etcd();
    s.go_on(s.world.between(100ms, 2s));
    s.server.mend(machine->link());
    machine->boot();
    s.go_on(s.some_time());
}

// One knows only what was put back, another one knows more and comes when that acts again.
void restore_and_meet(S& s) {
    s.begin(2 + s.world.below(2));
    s.back_up();
    auto* machine = s.any();
    auto* other = s.any();
    if (s.failed() || machine == nullptr || machine == other) return;
    s.server.cut(machine->link());
    s.go_on(s.ttl() + s.world.between(1s, 4s));
    for (const auto& one : s.machines()) s.server.cut(one->link());
    s.restore_etcd();
    s.server.mend(machine->link());
    s.go_on_until([&s] { return s.server.up(); }, 2 * s.ttl());
    s.go_on(s.ttl() - 600ms + s.world.between(0ms, 900ms));
    s.server.mend(other->link());
    s.go_on(2 * s.ttl());
}

// All wait, until an operator says which one begins anew; the others come back as new members.
void emptied(S& s) {
    s.begin(several(s));
    s.mess(3s, {&S::operate, &S::pause}, 1s);
    s.settle();
    if (s.failed()) return;
    s.server.stop();
    s.server.restore({});
    s.go_on(s.world.between(100ms, s.ttl()));
    s.server.begin();
    s.go_on(s.world.between(2 * s.ttl(), 3 * s.ttl()));
    if (s.server.etcd().pool() != nullptr) s.journal.fail("a pool began in an etcd without one");
    auto* survivor = s.any();
    std::vector<NodeId> others;
    for (const auto& machine : s.machines()) {
        if (machine.get() == survivor) continue;
        others.push_back(machine->node());
        machine->crash();
    }
    s.checker.excuse_strangers();
    if (!survivor->begin_without(others)) s.journal.fail("the survivor may not begin anew");
    s.go_on(s.some_time());
}

void disks_go_back(S& s) {
    s.begin(several(s));
    for (int round = 0; round < 2 && !s.failed(); ++round) {
        auto* machine = s.any();
        const auto old = machine->disk();
        s.mess(8s, {&S::crash, &S::operate, &S::pause}, 2s);
        s.settle();
        if (s.failed() || machine->node() != old.self) return;
        s.go_on(2s);
        machine->crash();
        s.go_on(s.some_time());
        machine->crash();
        if (old.incarnation.counter == machine->disk().incarnation.counter) continue;
        s.journal.note(machine->label() + ": its disk goes back");
        machine->restore(old);
        machine->another_s = true;
        s.settle();
    }
}

void clones(S& s) {
    s.begin(several(s));
    auto* machine = s.any();
    if (s.failed() || machine == nullptr) return;
    const auto copy = machine->disk();
    if (s.world.chance(50)) s.mess(4s, {&S::crash, &S::pause}, 2s);
    s.settle();
    s.checker.excuse_copies();
    const auto how = s.world.below(3);  // the original runs, is gone, or begins at the same time
    auto& other = s.add(1000);
    if (how > 0) {
        machine->crash();
        s.go_on(s.some_time());
    }
    other.restore(copy);
    s.journal.note(other.label() + " is a copy of " + machine->label());
    if (how == 2) machine->boot();
    if (s.world.chance(50)) s.go_on(s.world.between(0s, 1s));
    other.boot();
    s.go_on(s.some_time());
}

// --- pools that grow and shrink

void replace_all(S& s) {
    s.begin(several(s));
    const auto count = s.machines().size();
    for (std::size_t index = 0; index < count && !s.failed(); ++index) {
        auto& old = *s.machines()[index];
        s.add(1000).boot();
        if (s.world.chance(50)) s.settle();
        const auto node = old.node();
        const bool leaves = s.world.chance(60);
        if (leaves) {
            old.retired = true;
            old.leave();
            s.go_on_until([&] { return !old.up(); }, 3 * s.ttl());
            if (!s.failed() && old.up()) s.journal.fail(old.label() + " does not leave");
        }
        s.destroy(old);
        s.go_on(2 * s.ttl());
        if (s.failed()) return;
        s.machines().back()->propose(replication::RemoveMember{node, replication::Lost::accept});
        s.settle();
    }
}

void beginnings(S& s) {
    const auto count = some_machines(s);
    const auto expect = static_cast<std::uint32_t>(count / 2 + 1);
    for (std::size_t made = 0; made < count; ++made) {
        auto& machine = s.add(expect);
        s.world.after(s.world.between(0ms, 5s), [&machine] { machine.boot(); });
    }
    s.mess(10s, {&S::crash, &S::bad_network, &S::cut, &S::pause, &S::restart_etcd}, 1500ms);
}

const std::vector<Scenario> all = {
    {"quiet", quiet},
    {"mix", mix},
    {"crashes", crashes},
    {"cuts", cuts},
    {"pauses", pauses},
    {"drift", drift},
    {"unknowns", unknowns},
    {"restarts", restarts},
    {"hung", hung},
    {"leaves", leaves},
    {"all_cut", all_cut},
    {"cut_off", cut_off},
    {"restores", restores},
    {"restore_and_return", restore_and_return},
    {"restore_and_meet", restore_and_meet},
    {"emptied", emptied},
    {"disks_go_back", disks_go_back},
    {"clones", clones},
    {"replace_all", replace_all},
    {"beginnings", beginnings},
};

// Clocks that drift apart further than the margin: promises break, and must be seen to.
void drift_beyond(S& s) {
    s.drift_max = 150'000;
    s.begin(several(s));
    s.mess(60s, {&S::cut, &S::pause}, 3s);
}

const std::vector<Scenario> beyond = {{"drift_beyond", drift_beyond}};

}  // namespace

const std::vector<Scenario>& scenarios() {
    return all;
}

const std::vector<Scenario>& scenarios_beyond() {
    return beyond;
}

}  // namespace posthorse::sim::etcd
