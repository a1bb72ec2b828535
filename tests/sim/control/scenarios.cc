// The scripts.
#include <algorithm>

#include "tests/sim/control/simulation.h"

namespace posthorse::sim::control {
namespace {

using namespace std::chrono_literals;
using S = Simulation;

std::size_t some_machines(S& s) {
    return 1 + s.world.below(5);
}

std::size_t several(S& s) {
    return 3 + s.world.below(3);
}

void quiet(S& s) {
    s.begin(some_machines(s));
    s.go_on(5s);
}

void mix(S& s) {
    s.begin(some_machines(s));
    s.mess(30s,
           {&S::crash, &S::crash_leader, &S::lose_power, &S::pause, &S::pause_leader, &S::cut,
            &S::cut_leader, &S::split, &S::bad_network, &S::disk, &S::leader_disk, &S::hang},
           1500ms);
}

void crashes(S& s) {
    s.begin(some_machines(s));
    s.mess(30s, {&S::crash, &S::crash_leader, &S::crash}, 1s);
}

void power(S& s) {
    s.begin(some_machines(s));
    s.mess(30s, {&S::lose_power, &S::crash, &S::disk}, 3s);
}

void cuts(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::cut, &S::cut, &S::cut_leader, &S::split}, 2s);
}

void drift(S& s) {
    s.pool.drift_max = 24'000;
    s.begin(several(s));
    s.mess(30s, {&S::cut, &S::cut_leader, &S::pause, &S::crash}, 2s);
}

void pauses(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::pause, &S::pause_leader}, 1500ms);
}

void hung(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::hang, &S::hang, &S::disk, &S::crash}, 2s);
}

void flapping_leader(S& s) {
    s.begin(several(s));
    s.mess(25s, {&S::crash_leader, &S::pause_leader, &S::cut_leader}, 700ms);
}

void leader_disk(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::leader_disk, &S::leader_disk, &S::crash, &S::pause}, 2s);
}

void leader_one_way(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::cut_leader, &S::cut_leader, &S::crash}, 2s);
}

void bad_network(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::bad_network, &S::bad_network, &S::crash, &S::pause, &S::cut}, 3s);
}

// --- pools that grow and shrink

void lose_commits(S& s) {
    if (s.world.chance(50)) return;
    s.journal.note("commits are lost");
    s.pool.network().swallows = [](std::size_t, const Outgoing& message) {
        return std::holds_alternative<replication::Commit>(message.message);
    };
}

void grow(S& s, std::size_t machines) {
    while (!s.failed() && s.pool.wanted().size() < machines) {
        s.join();
        if (s.world.chance(30)) s.settle();
    }
    s.settle();
}

// One by one, or several at once while a majority stays.
void shrink(S& s, std::size_t machines) {
    while (!s.failed()) {
        auto staying = s.pool.wanted();
        if (staying.size() <= machines) break;
        lose_commits(s);
        const bool two = staying.size() > machines + 1 && staying.size() > 4 && s.world.chance(40);
        auto* first = staying[s.world.below(staying.size())];
        s.leave_for_good(*first);
        if (two) {
            std::erase(staying, first);
            auto* second = staying[s.world.below(staying.size())];
            s.leave_for_good(*second);
            s.until_left(*second);
        }
        s.until_left(*first);
        s.settle();
    }
}

void one_three_five(S& s) {
    s.begin(1);
    grow(s, 3);
    grow(s, 5);
    shrink(s, 3);
    shrink(s, 1);
}

void one_two_three(S& s) {
    s.begin(1);
    grow(s, 2);
    grow(s, 3);
    shrink(s, 2);
    shrink(s, 1);
}

void three_six_three(S& s) {
    s.begin(3);
    grow(s, 6);
    shrink(s, 3);
}

// Every machine gives way to one with an empty disk; some leave, some are lost.
void replace_all(S& s) {
    s.begin(3);
    const auto old = s.pool.wanted();
    s.pool.checker().excuse_losses();
    for (auto* machine : old) {
        if (s.failed()) return;
        if (s.world.chance(50)) {
            s.join();
            s.settle();
        }
        if (s.world.chance(60)) {
            s.leave_for_good(*machine);
            s.until_left(*machine);
        } else {
            const auto node = machine->node();
            s.destroy(*machine);
            s.go_on(2 * s.ttl());
            s.pool.wanted().front()->remove_member(node);
        }
        if (s.pool.wanted().size() < 3) s.join();
        s.settle();
    }
}

// A voter is lost with its disk, and before anybody can know it another one leaves: the vote that
// the lost one had must not become one without which nothing can be decided.
void lost_then_leaves(S& s) {
    s.begin(several(s));
    s.pool.checker().excuse_losses();
    if (s.failed()) return;
    auto* lost = s.pool.any();
    auto* leaver = s.pool.other_than(lost);
    const auto node = lost->node();
    s.destroy(*lost);
    s.go_on(s.world.between(0ms, 500ms));
    s.leave_for_good(*leaver);
    s.go_on(s.world.between(0s, s.ttl()));
    s.join();
    if (s.world.chance(50)) s.until_left(*leaver);
    s.go_on(2 * s.ttl());
    if (s.failed()) return;
    s.pool.wanted().front()->remove_member(node);
    s.until_left(*leaver);
    s.settle();
}

void rolling_restart(S& s) {
    s.begin(several(s));
    for (auto* machine : s.pool.wanted()) {
        machine->begin_leaving();
        s.until_left(*machine);
        s.settle();
    }
}

void leaves(S& s) {
    s.begin(several(s));
    s.mess(25s,
           {&S::leave_and_return, &S::leave_and_return, &S::crash, &S::cut, &S::pause,
            &S::crash_leader, &S::operate},
           2500ms);
}

// Whoever knows of a change of voters before it is committed, or before others do.
Machine* between_configurations(S& s) {
    for (const auto& machine : s.pool.machines()) {
        if (!machine->up() || machine->core().election() == nullptr) continue;
        const auto& accepted = machine->core().election()->durable().accepted;
        if (accepted.committed != accepted.configuration) return machine.get();
    }
    return nullptr;
}

void cut_off_between_configurations(S& s) {
    const auto cut_off = [&s] {
        auto* machine = between_configurations(s);
        if (machine != nullptr) s.pool.isolate(*machine);
        return machine != nullptr;
    };
    s.go_on_until(cut_off, 3s, 2ms);
    s.go_on(s.world.between(s.ttl(), 3 * s.ttl()));
    s.pool.mend();
    s.go_on(s.world.between(0s, 6s));
}

// A configuration gets smaller, or larger, and whoever knows it already is cut off.
void voters_cut(S& s) {
    const bool grows = s.world.chance(50);
    s.begin(grows ? 2 : 3 + s.world.below(2));
    s.pool.network().quality.most = s.world.chance(50) ? 60ms : 10ms;
    for (int round = 0; round < 2 && !s.failed(); ++round) {
        if (grows && round == 0)
            s.join();
        else if (auto* machine = s.pool.any(); machine != nullptr && s.world.chance(70))
            machine->begin_leaving();
        if (s.world.chance(70)) lose_commits(s);
        cut_off_between_configurations(s);
        s.pool.network().swallows = {};
        for (const auto& machine : s.pool.machines()) machine->boot();
    }
}

// --- pools of two

void two(S& s) {
    s.begin(2);
    for (int round = 0; round < 2 && !s.failed(); ++round) {
        s.pool.split({0});
        s.go_on(s.world.between(2 * s.ttl(), 3 * s.ttl()));
        for (const auto& machine : s.pool.machines()) {
            if (!s.failed() && !machine->entitled())
                s.journal.fail(machine->label() + " cannot be evicted and stopped owning");
        }
        s.settle();
        s.go_on(1s);
    }
    s.mess(15s, {&S::crash, &S::cut, &S::pause, &S::lose_power, &S::disk}, 3s);
}

// --- values that are accepted and never count

void evict_discarded(S& s) {
    s.begin(5);
    auto* leader = s.pool.leader();
    auto* victim = s.pool.other_than(leader);
    auto* friendly = s.pool.other_than(leader);
    if (s.failed() || leader == nullptr || victim == nullptr || friendly == nullptr) return;
    const auto node = victim->node();
    if (s.world.chance(50))
        s.pool.isolate(*victim);
    else
        victim->pause();
    const bool to_friend = s.world.chance(70);
    s.pool.network().swallows = [=](std::size_t from, const Outgoing& message) {
        const auto* published = std::get_if<replication::Published>(&message.message);
        if (published == nullptr || from != leader->index()) return false;
        if (published->value->is_live(node)) return false;
        return !(to_friend && message.header.to == friendly->node());
    };
    s.go_on(s.ttl() + s.world.between(0s, 2s));
    if (s.world.chance(70)) {
        s.pool.split(to_friend ? std::vector{leader->index(), friendly->index()}
                               : std::vector{leader->index()});
    }
    s.go_on(s.world.between(0s, 2s));
    victim->resume();
    s.go_on(s.world.between(0s, 3 * s.ttl()));
    s.pool.mend();
    s.pool.network().swallows = {};
    s.go_on(s.world.between(0s, s.ttl()));
    s.mess(5s, {&S::crash, &S::pause, &S::cut}, 2s);
}

// A member lapses, and is heard again while its eviction is under way; it hears of that from
// nobody.
void evict_in_flight(S& s) {
    s.begin(several(s));
    auto* leader = s.pool.leader();
    auto* victim = s.pool.other_than(leader);
    if (s.failed() || leader == nullptr || victim == nullptr) return;
    const auto node = victim->node();
    const auto ends_it = [leader, node] {
        const auto* election = leader->up() ? leader->core().election() : nullptr;
        return election != nullptr && !election->durable().accepted.value->is_live(node);
    };
    const auto under_way = s.world.between(200ms, 1800ms);
    const auto since = std::make_shared<BootTime>();
    s.pool.network().swallows = [=, &s](std::size_t from, const Outgoing& message) {
        if (std::holds_alternative<replication::Renew>(message.message))
            return from == victim->index() && !ends_it();
        const auto* published = std::get_if<replication::Published>(&message.message);
        if (published != nullptr && from == leader->index() && !published->value->is_live(node)) {
            if (*since == BootTime{}) *since = s.world.boot();
            return message.header.to == node || s.world.boot() - *since < under_way;
        }
        return message.header.to == node &&
               std::holds_alternative<replication::Commit>(message.message);
    };
    s.go_on(2 * s.ttl());
    s.go_on(s.some_time());
}

// --- disks that are not what they were

// Behind what the pool has recorded of the machine's node?
bool is_behind(const ControlRecord& old, const PoolState& pool) {
    const auto* member = pool.member(old.self);
    if (member == nullptr) return false;
    const auto& accepted = old.agreement.accepted;
    return member->incarnation.counter > old.incarnation.counter ||
           member->acknowledged > replication::Place{accepted.term, accepted.version};
}

void went_back(S& s) {
    s.begin(several(s));
    for (int round = 0; round < 2 && !s.failed(); ++round) {
        auto* machine = s.pool.any();
        const auto old = machine->disk();
        s.mess(6s, {&S::crash, &S::pause}, 3s);
        for (const auto& one : s.pool.machines()) {
            if (s.world.chance(30)) one->crash();
        }
        s.settle();
        s.go_on(s.world.between(0s, 3s));
        if (s.failed() || machine->node() != old.self) return;
        machine->crash();
        s.go_on(s.some_time());
        machine->crash();
        const bool behind = is_behind(old, *s.pool.checker().newest());
        s.journal.note(machine->label() + ": its disk goes back");
        machine->restore(old, behind ? DiskPast::went_back : DiskPast::doubtful);
        s.settle();
    }
}

// A copy whose original is where it cannot be told is outside the promises when it votes. One that
// does not vote must still not share what the original owns.
Machine* without_vote(S& s) {
    const auto* leader = s.pool.leader();
    if (leader == nullptr) return nullptr;
    const auto voters = leader->core().status(leader->now()).voters;
    for (const auto& machine : s.pool.machines()) {
        if (machine->up() && !voters.contains(machine->node())) return machine.get();
    }
    return nullptr;
}

void unseen_clone(S& s) {
    s.begin(4 + s.world.below(2));
    s.pool.checker().excuse_strangers();
    auto* machine = s.failed() ? nullptr : without_vote(s);
    if (machine == nullptr) return;
    auto& other = s.pool.add({});
    other.restore(machine->disk(), DiskPast::doubtful);
    auto* peer = s.pool.other_than(machine);
    s.pool.isolate(*peer);
    s.pool.isolate(other);
    s.pool.network().mend(other.index(), peer->index());
    s.pool.network().mend(peer->index(), other.index());
    s.journal.note(other.label() + " is a copy of " + machine->label());
    other.boot();
    s.go_on(s.world.between(2s, 4s));
    s.pool.mend();
    s.go_on(2 * s.ttl());
}

void clones(S& s) {
    s.begin(several(s));
    s.pool.checker().excuse_strangers();
    auto* machine = s.pool.any();
    const auto copy = machine->disk();
    if (s.world.chance(50)) s.mess(4s, {&S::crash, &S::pause}, 2s);
    if (s.world.chance(50)) s.settle();
    s.pool.heal();
    const auto how = s.world.below(3);  // the original runs, is gone, or begins at the same time
    if (how == 0) s.settle();
    auto& other = s.pool.add({});
    if (how > 0) {
        machine->crash();
        s.go_on(s.some_time());
    }
    other.restore(copy, how == 0 ? DiskPast::is_a_copy : DiskPast::doubtful);
    s.journal.note(other.label() + " is a copy of " + machine->label());
    if (s.failed()) return;
    if (how == 2) machine->boot();
    if (s.world.chance(50)) s.go_on(s.world.between(0s, 1s));
    other.boot();
}

// --- beginnings

void boot_all(S& s, Duration within) {
    for (const auto& machine : s.pool.machines())
        s.world.after(s.world.between(0ms, within), [one = machine.get()] { one->boot(); });
}

// Just fewer than could begin two pools; names are looked up in part only, and things break.
void bootstrap_odd(S& s) {
    const auto expect = static_cast<std::uint32_t>(1 + s.world.below(3));
    for (std::size_t made = 0; made < 2 * expect - 1; ++made)
        s.pool.add({.alone = false, .expect = expect});
    const auto partial = s.world.chance(60) ? static_cast<std::uint32_t>(s.world.below(80)) : 0;
    const auto incomplete = static_cast<std::uint32_t>(s.world.below(40));
    for (const auto& machine : s.pool.machines()) {
        machine->directory.partial = partial;
        machine->directory.incomplete = incomplete;
    }
    boot_all(s, s.world.between(100ms, 8s));
    s.mess(12s, {&S::crash, &S::cut, &S::bad_network, &S::pause, &S::disk, &S::split}, 1500ms);
    s.settle();
}

// As many as could begin two pools: they must not, while each hears of all.
void bootstrap_even(S& s) {
    const auto expect = static_cast<std::uint32_t>(2 + s.world.below(2));
    const auto machines = 2 * expect;
    for (std::size_t made = 0; made < machines; ++made)
        s.pool.add({.alone = false, .expect = expect});
    for (std::size_t index = 0; index < machines; ++index)  // a chain, and some more
        s.pool.machine(index).directory.addresses =
            s.pool.some_addresses({index, (index + 1) % machines}, 40);
    boot_all(s, s.world.between(1ms, 3s));
    s.mess(10s, {&S::crash, &S::pause, &S::disk}, 3s);
    s.pool.heal();
    s.go_on(3s);
    // Whoever runs this sees why nothing begins, and takes one away.
    if (s.pool.leader() == nullptr) s.destroy(s.pool.machine(s.world.below(machines)));
    s.settle();
}

void begin_without(S& s) {
    const auto machines = 2 + s.world.below(4);
    s.begin(machines);
    auto* survivor = s.pool.any();
    if (s.failed() || survivor == nullptr) return;
    s.pool.checker().excuse_losses();
    s.pool.checker().excuse_strangers();
    s.mess(4s, {&S::crash, &S::pause}, 3s);
    s.settle();
    std::vector<NodeId> others;
    std::vector<Machine*> back;
    for (const auto& machine : s.pool.machines()) {
        if (machine.get() == survivor) continue;
        others.push_back(machine->node());
        machine->crash();
        machine->held = true;
        if (s.world.chance(50))
            s.destroy(*machine);
        else
            back.push_back(machine.get());
    }
    if (s.world.chance(30)) {
        survivor->crash();
        survivor->boot();
    }
    s.go_on(s.world.between(s.ttl(), 3 * s.ttl()));
    if (s.failed()) return;
    if (!survivor->begin_without(others)) s.journal.fail("the survivor may not begin anew");
    s.go_on(s.some_time());
    s.settle();
}

const std::vector<Scenario> all = {
    {"quiet", quiet},
    {"mix", mix},
    {"crashes", crashes},
    {"power", power},
    {"cuts", cuts},
    {"drift", drift},
    {"pauses", pauses},
    {"hung", hung},
    {"flapping_leader", flapping_leader},
    {"leader_disk", leader_disk},
    {"leader_one_way", leader_one_way},
    {"bad_network", bad_network},
    {"one_three_five", one_three_five},
    {"one_two_three", one_two_three},
    {"three_six_three", three_six_three},
    {"replace_all", replace_all},
    {"lost_then_leaves", lost_then_leaves},
    {"rolling_restart", rolling_restart},
    {"leaves", leaves},
    {"voters_cut", voters_cut},
    {"two", two},
    {"evict_discarded", evict_discarded},
    {"evict_in_flight", evict_in_flight},
    {"went_back", went_back},
    {"clones", clones},
    {"unseen_clone", unseen_clone},
    {"bootstrap_odd", bootstrap_odd},
    {"bootstrap_even", bootstrap_even},
    {"begin_without", begin_without},
};

// Clocks that drift apart further than the margin: promises break, and must be seen to.
void drift_beyond(S& s) {
    s.pool.drift_max = 80'000;
    s.begin(several(s));
    s.mess(30s, {&S::cut, &S::cut_leader, &S::crash}, 2s);
}

const std::vector<Scenario> beyond = {{"drift_beyond", drift_beyond}};

}  // namespace

const std::vector<Scenario>& scenarios() {
    return all;
}

const std::vector<Scenario>& scenarios_beyond() {
    return beyond;
}

}  // namespace posthorse::sim::control
