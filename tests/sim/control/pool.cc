#include "tests/sim/control/pool.h"

#include <algorithm>

#include "replication/core/placement.h"

namespace posthorse::sim::control {
namespace {

using namespace std::chrono_literals;

constexpr Duration answered_within = 12s;

}  // namespace

Machine& Pool::add(Kind kind) {
    const auto index = machines_.size();
    if (index == 0) zones_ = world_.chance(30);
    Machine::Setup setup{.index = index,
                         .address = "n" + std::to_string(index + 1) + ":4190",
                         .zone = zones_ ? std::string(1, static_cast<char>('a' + index % 3)) : "",
                         .alone = kind.alone,
                         .expect = kind.expect,
                         .clock = {}};
    setup.clock.offset = world_.between(0s, 10'000'000s);
    setup.clock.drift =
        static_cast<std::int64_t>(world_.below(static_cast<std::uint64_t>(2 * drift_max + 1))) -
        drift_max;
    machines_.push_back(std::make_unique<Machine>(*this, std::move(setup)));
    publish_directory();
    return *machines_.back();
}

void Pool::publish_directory() {
    std::vector<std::string> addresses;
    for (const auto& machine : machines_) {
        if (!machine->retired) addresses.push_back(machine->address());
    }
    for (const auto& machine : machines_) machine->directory.addresses = addresses;
}

std::vector<std::string> Pool::some_addresses(const std::vector<std::size_t>& machines,
                                              std::uint32_t percent) {
    std::vector<std::string> addresses;
    for (const auto& machine : machines_) {
        const bool named =
            std::find(machines.begin(), machines.end(), machine->index()) != machines.end();
        if (named || world_.chance(percent)) addresses.push_back(machine->address());
    }
    return addresses;
}

// ------------------------------------------------------------------ who

std::vector<Machine*> Pool::wanted() {
    std::vector<Machine*> machines;
    for (const auto& machine : machines_) {
        if (!machine->retired) machines.push_back(machine.get());
    }
    return machines;
}

Machine* Pool::leader() {
    Machine* best = nullptr;
    for (const auto& machine : machines_) {
        if (!machine->up() || !machine->core().leads()) continue;
        if (best == nullptr || machine->core().election()->agreement().term() >
                                   best->core().election()->agreement().term())
            best = machine.get();
    }
    return best;
}

Machine* Pool::other_than(const Machine* one) {
    std::vector<Machine*> others;
    for (const auto& machine : machines_) {
        if (machine->up() && machine.get() != one) others.push_back(machine.get());
    }
    return others.empty() ? nullptr : others[world_.below(others.size())];
}

Machine* Pool::any() {
    return other_than(nullptr);
}

std::size_t Pool::running() const {
    return static_cast<std::size_t>(std::count_if(
        machines_.begin(), machines_.end(), [](const auto& machine) { return machine->up(); }));
}

// ------------------------------------------------------------------ trouble

void Pool::cut_out(const Machine& machine) {
    journal_.note("nobody hears " + machine.label());
    for (std::size_t other = 0; other < size(); ++other) {
        if (other != machine.index()) network_.cut(machine.index(), other);
    }
}

void Pool::cut_in(const Machine& machine) {
    journal_.note(machine.label() + " hears nobody");
    for (std::size_t other = 0; other < size(); ++other) {
        if (other != machine.index()) network_.cut(other, machine.index());
    }
}

void Pool::isolate(const Machine& machine) {
    cut_out(machine);
    cut_in(machine);
}

void Pool::cut_link(const Machine& one, const Machine& other) {
    journal_.note("cut between " + one.label() + " and " + other.label());
    network_.cut(one.index(), other.index());
    network_.cut(other.index(), one.index());
}

void Pool::split(const std::vector<std::size_t>& side) {
    std::string text;
    for (const auto index : side) text += " " + machine(index).label();
    journal_.note("split off:" + text);
    for (std::size_t index = 0; index < size(); ++index) {
        if (std::find(side.begin(), side.end(), index) != side.end()) continue;
        for (const auto other : side) {
            network_.cut(index, other);
            network_.cut(other, index);
        }
    }
}

void Pool::heal() {
    journal_.note("all trouble ends");
    healed_ = true;
    network_.mend_all();
    network_.quality = {};
    network_.swallows = {};
    for (const auto& machine : machines_) {
        machine->held = false;
        machine->probe_hangs = machine->ignores_changes = false;
        machine->directory.incomplete = machine->directory.partial = 0;
        machine->set_disk(DiskHabit::good);
        machine->resume();
        if (!machine->retired) machine->boot();
    }
}

bool Pool::reaches(const Machine& from, const NodeId& node) const {
    return std::any_of(machines_.begin(), machines_.end(), [&](const auto& other) {
        return other->node() == node && other->up() && !other->paused() &&
               network_.connected(from.index(), other->index()) &&
               network_.connected(other->index(), from.index());
    });
}

void Pool::has_left(Machine& machine) {
    if (on_left) on_left(machine);
}

// ------------------------------------------------------------------ is all well?

std::optional<std::string> Pool::unsettled() {
    const auto* leading = leader();
    if (leading == nullptr) return "nobody leads";
    for (const auto& machine : machines_) {
        if (machine->up() && machine->asked) return machine->label() + " has not left yet";
        if (machine->retired) continue;
        if (auto why = unsettled_node(*machine, leading->node())) return why;
    }
    if (auto why = unsettled_votes(*leading)) return why;
    return unsettled_partitions();
}

std::optional<std::string> Pool::unsettled_node(const Machine& machine,
                                                const NodeId& leader) const {
    if (!machine.up()) return machine.label() + " does not run";
    const auto& core = machine.core();
    if (core.leads() != (machine.node() == leader)) return machine.label() + " leads too";
    if (!core.running()) return machine.label() + " is not in the pool: " + machine.story();
    if (!core.lease_live(machine.now(), replication::drift_margin(settings_.lease_ttl)))
        return machine.label() + " has no lease";
    const auto status = core.status(machine.now());
    if (status.leader != leader) return machine.label() + " follows another";
    if (core.committed().version != checker_.newest()->version)
        return machine.label() + " lacks the newest value";
    if (machine.waits_since(machine.now() - answered_within))
        return machine.label() + " has no answer to a proposal";
    return std::nullopt;
}

std::optional<std::string> Pool::unsettled_votes(const Machine& leader) const {
    const auto status = leader.core().status(leader.now());
    const auto& members = checker_.newest()->members;
    std::size_t live = 0;
    std::size_t staying = 0;  // live or not: the configuration shrinks only by leaving
    for (const auto& member : members) {
        staying += member.draining ? 0 : 1;
        live += member.live && !member.draining ? 1 : 0;
    }
    if (status.voters_change) return "the change of voters is not done";
    const auto voters = status.voters.voters.size();
    if (voters < replication::voters_wanted(live) || voters > replication::voters_wanted(staying))
        return "the voters are " + journal_.names(status.voters.voters) + " of " +
               std::to_string(live) + " nodes";
    for (const auto& machine : machines_) {
        if (status.voters.contains(machine->node()) && machine->retired)
            return machine->label() + " still votes";
    }
    return std::nullopt;
}

std::optional<std::string> Pool::unsettled_partitions() const {
    const auto& state = *checker_.newest();
    std::map<NodeId, std::size_t> open;
    for (const auto& one : state.partitions) {
        const bool held = std::any_of(one.in_sync.begin(), one.in_sync.end(),
                                      [&](const NodeId& node) { return state.is_live(node); });
        const auto what = "partition " + std::to_string(one.id.value);
        if (held && !one.owner) return what + " has a holder that lives, and no owner";
        if (one.owner && one.phase == replication::PartitionPhase::open) open[*one.owner] += 1;
    }
    for (const auto& machine : machines_) {
        if (machine->retired) continue;
        const auto* member = state.member(machine->node());
        if (member == nullptr || member->draining) return machine->label() + " is no full member";
        if (open[machine->node()] != replication::open_partitions + 1)
            return machine->label() + " has " + std::to_string(open[machine->node()]) +
                   " open partitions";
        if (machine->claims().size() < replication::open_partitions + 1)
            return machine->label() + " does not own its partitions";
    }
    return std::nullopt;
}

}  // namespace posthorse::sim::control
