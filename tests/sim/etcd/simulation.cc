#include "tests/sim/etcd/simulation.h"

#include <algorithm>

#include "replication/core/lease.h"
#include "replication/core/placement.h"

namespace posthorse::sim::etcd {
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
    return Simulation(seed, story).run(scenario);
}

Simulation::Simulation(std::uint64_t seed, Story story)
    : world(seed),
      journal(world, story),
      server(world, journal),
      checker(*this, journal),
      settings_(settings_of(world)) {
    server.changed = [this] {
        for (const auto& machine : machines_) machine->server_changed();
    };
    server.pool_is = [this](const EtcdPool& pool) { checker.pool_is(pool); };
}

Outcome Simulation::run(const Scenario& scenario) {
    scenario.script(*this);
    settle();
    go_on(2s);
    const bool still = go_on_until([this] { return all_is_well(); }, 3 * ttl());
    if (!still && !failed()) journal.fail("all was well, and then: " + *unsettled());
    return {journal.violation(), journal.counts,
            static_cast<std::uint64_t>(world.boot().time_since_epoch().count())};
}

// ------------------------------------------------------------------ beginning, and going on

Machine& Simulation::add(std::uint32_t expect) {
    Machine::Setup setup;
    setup.index = machines_.size();
    setup.expect = expect;
    setup.pool = settings_;
    const auto range = static_cast<std::uint64_t>(2 * drift_max + 1);
    setup.clock = {world.between(0ms, 1h),
                   static_cast<std::int64_t>(world.below(range)) - drift_max};
    machines_.push_back(std::make_unique<Machine>(world, journal, server, checker, setup));
    machines_.back()->on_left = [this](Machine& machine) {
        if (machine.retired) return;
        later([&machine] { machine.boot(); });
    };
    return *machines_.back();
}

void Simulation::begin(std::size_t count) {
    const bool together = world.chance(50);
    for (std::size_t made = 0; made < count; ++made) {
        const auto expect = together ? static_cast<std::uint32_t>(count)
                                     : static_cast<std::uint32_t>(made == 0 ? 0 : 1000);
        auto& machine = add(expect);
        world.after(world.between(0ms, 1500ms), [&machine] { machine.boot(); });
    }
    go_on(1500ms);
    settle();
}

void Simulation::go_on(Duration time) {
    const auto end = world.boot() + time;
    while (!failed() && world.boot() < end) world.run_until(std::min(end, world.boot() + 250ms));
}

bool Simulation::go_on_until(const std::function<bool()>& condition, Duration most) {
    const auto end = world.boot() + most;
    while (!failed() && !condition()) {
        if (world.boot() >= end) return false;
        world.run_until(world.boot() + 250ms);
    }
    return true;
}

void Simulation::heal() {
    server.begin();
    server.mend_all();
    server.quality = {};
    server.holds = {};
    for (const auto& machine : machines_) {
        machine->disk_hangs = machine->ignores_changes = machine->restless = false;
        machine->resume();
        machine->boot();
    }
}

void Simulation::settle() {
    if (failed()) return;
    heal();
    journal.note("the trouble ends");
    const auto began = world.boot();
    go_on_until([this] { return all_is_well(); }, bound());
    if (failed()) return;
    if (const auto why = unsettled()) return journal.fail("all should be well by now: " + *why);
    const auto took = static_cast<std::uint64_t>((world.boot() - began).count());
    journal.counts.slowest_heal = std::max(journal.counts.slowest_heal, took);
    for (const auto& machine : machines_) machine->restless = true;
    journal.note("all is well");
}

// Whoever runs it starts what has ended, and wants no node drained.
bool Simulation::all_is_well() {
    const auto* pool = server.etcd().pool();
    for (const auto& machine : machines_) {
        machine->boot();
        const auto* member = pool == nullptr ? nullptr : pool->state.member(machine->node());
        const bool drains = member != nullptr && member->draining;
        if (drains && machine->up() && machine->core().running())
            machine->propose(replication::SetDraining{machine->node(), false});
    }
    return !unsettled();
}

std::optional<std::string> Simulation::unsettled() const {
    const auto* pool = server.etcd().pool();
    if (pool == nullptr) return "there is no pool";
    const auto& state = pool->state;
    const auto margin = replication::drift_margin(ttl());
    for (const auto& machine : machines_) {
        if (machine->retired) continue;
        if (!machine->up()) return machine->label() + " does not run";
        const auto& core = machine->core();
        if (!core.lease_live(machine->now(), margin))
            return machine->label() + " has no lease: " + core.status(machine->now()).phase;
        if (core.committed().version != state.version)
            return machine->label() + " lacks the newest value";
        const auto* member = state.member(machine->node());
        if (member == nullptr || member->draining) return machine->label() + " is no full member";
        std::size_t open = 0;
        for (const auto& one : state.partitions) {
            const bool is_open = one.phase == replication::PartitionPhase::open;
            open += is_open && one.owner == machine->node() ? 1 : 0;
        }
        if (open != replication::open_partitions + 1)
            return machine->label() + " has " + std::to_string(open) + " open partitions";
        if (machine->claims().size() < open) return machine->label() + " owns too few";
    }
    for (const auto& one : state.partitions) {
        const bool held = std::any_of(one.in_sync.begin(), one.in_sync.end(),
                                      [&](const NodeId& node) { return state.is_live(node); });
        if (held && !one.owner)
            return "partition " + std::to_string(one.id.value) + " has no owner, and could";
    }
    return std::nullopt;
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

Machine* Simulation::any() {
    std::vector<Machine*> running;
    for (const auto& machine : machines_) {
        if (machine->up()) running.push_back(machine.get());
    }
    return running.empty() ? nullptr : running[world.below(running.size())];
}

void Simulation::mess(Duration time, const std::vector<Trouble>& troubles, Duration every) {
    const auto end = world.boot() + time;
    while (!failed() && world.boot() < end) {
        go_on(world.between(Duration{0}, 2 * every));
        if (!failed()) (this->*troubles[world.below(troubles.size())])();
    }
}

void Simulation::crash() {
    auto* machine = any();
    if (machine == nullptr) return;
    machine->crash();
    later([machine] { machine->boot(); });
}

void Simulation::lose_power() {
    for (const auto& machine : machines_) {
        if (!machine->up()) continue;
        machine->crash();
        later([one = machine.get()] { one->boot(); });
    }
}

void Simulation::pause() {
    auto* machine = any();
    if (machine == nullptr) return;
    machine->pause();
    later([machine] { machine->resume(); });
}

void Simulation::cut() {
    auto* machine = any();
    if (machine == nullptr) return;
    journal.note(machine->label() + " is cut off from etcd");
    journal.counts.cuts += 1;
    server.cut(machine->link());
    later([this, machine] { server.mend(machine->link()); });
}

void Simulation::cut_all() {
    journal.note("etcd is cut off");
    journal.counts.cuts += 1;
    for (const auto& machine : machines_) server.cut(machine->link());
    later([this] {
        journal.note("etcd is reached again");
        server.mend_all();
    });
}

void Simulation::bad_network() {
    journal.note("the network is bad");
    server.quality = {.most = world.between(5ms, 400ms),
                      .lost = static_cast<std::uint32_t>(world.below(300)),
                      .unanswered = static_cast<std::uint32_t>(world.below(300)),
                      .late = static_cast<std::uint32_t>(world.below(200))};
    later([this] {
        journal.note("the network is good");
        server.quality = {};
    });
}

void Simulation::restart_etcd() {
    server.stop();
    world.after(world.between(100ms, 3s), [this] { server.begin(); });
}

// A backup is put back while etcd stands still, which takes some time.
void Simulation::restore_etcd() {
    if (backups_.empty() || !server.up()) return;
    checker.excuse_strangers();
    server.stop();
    auto& held = backups_[world.below(backups_.size())];
    if (world.chance(50)) held = backups_.back();
    const auto* before = server.etcd().pool();
    const auto had = before == nullptr ? 0 : before->state.version.value;
    server.restore(held);
    const auto* now = server.etcd().pool();
    journal.counts.discarded += had - std::min(had, now == nullptr ? 0 : now->state.version.value);
    world.after(world.between(100ms, ttl()), [this] { server.begin(); });
}

void Simulation::disk() {
    auto* machine = any();
    if (machine == nullptr) return;
    journal.note("the disk of " + machine->label() + " hangs");
    machine->disk_hangs = true;
    later([machine] { machine->disk_hangs = false; });
}

void Simulation::hang() {
    auto* machine = any();
    if (machine == nullptr) return;
    journal.note(machine->label() + " hangs");
    machine->ignores_changes = true;
    later([machine] { machine->ignores_changes = false; });
}

void Simulation::leave_and_return() {
    auto* machine = any();
    if (machine == nullptr) return;
    machine->leave();
}

void Simulation::operate() {
    auto* machine = any();
    auto* other = any();
    if (machine == nullptr) return;
    machine->propose(replication::SetDraining{other->node(), world.chance(30)});
}

void Simulation::destroy(Machine& machine) {
    machine.retired = true;
    machine.crash();
}

}  // namespace posthorse::sim::etcd
