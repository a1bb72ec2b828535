#include "tests/sim/etcd/checker.h"

#include "tests/sim/etcd/simulation.h"

namespace posthorse::sim::etcd {
namespace {

std::string number(PartitionId id) {
    return "partition " + std::to_string(id.value);
}

}  // namespace

void Checker::fail(const PoolState& value, const std::string& what) {
    journal_.fail("version " + std::to_string(value.version.value) + ": " + what);
}

void Checker::saw(const Machine& machine) {
    if (!machine.up()) return;
    see_value(machine);
    if (!machine.entitled()) return;
    if (machine.another_s)
        journal_.fail(machine.label() + " owns with a disk that went back or is a copy");
    for (const auto& other : simulation_.machines()) {
        if (other.get() == &machine || !other->entitled()) continue;
        if (other->core().acting().pool_id != machine.core().acting().pool_id) continue;
        for (const auto& [partition, epoch] : machine.claims()) {
            if (other->claims().contains(partition))
                journal_.fail(number(partition) + " has two owners: " + machine.label() + " and " +
                              other->label());
        }
    }
}

void Checker::see_value(const Machine& machine) {
    const auto& record = machine.core().record();
    if (record.marks.empty()) return;
    auto& known = known_[machine.node()];
    const replication::Lineage now{record.agreement.accepted.version, record.marks};
    if (known == now) return;
    auto& start = starts_[machine.node()];
    // A process that ended may have forgotten what was not on its disk yet.
    const bool forgot = start != machine.core().incarnation() && now.version < known.version;
    start = machine.core().incarnation();
    const auto ahead = now.version.value - known.version.value;  // huge when it is older
    const bool descends =
        now.version > known.version && (known.marks.empty() || ahead >= now.marks.size() ||
                                        now.marks[ahead] == known.marks.front());
    if (!descends && !forgot && !machine.another_s && !copied_)
        journal_.fail(machine.label() + " took version " + std::to_string(now.version.value) +
                      ", which does not descend from what it knew");
    known = now;
}

void Checker::estranged(const Machine& machine, const std::string& why) {
    if (machine.another_s || strangers_excused_) return;
    journal_.fail(machine.label() + " became a stranger without a reason: " + why);
}

void Checker::pool_is(const EtcdPool& pool) {
    const auto& value = pool.state;
    journal_.counts.commits += 1;
    if (pool.marks.size() > 1) {
        const auto before = carried_out_.find(pool.marks[1]);
        if (before == carried_out_.end())
            fail(value, "it descends from a value that never was");
        else
            check_step(before->second, value);
    } else {
        journal_.counts.pools += 1;
        if (!carried_out_.empty()) fail(value, "another pool has begun");
        journal_.note("a pool begins:" + journal_.show_step(PoolState{}, value));
    }
    carried_out_.emplace(pool.marks.front(), value);
}

void Checker::check_step(const PoolState& before, const PoolState& after) {
    if (journal_.told())
        journal_.note("version " + std::to_string(after.version.value) + ":" +
                      journal_.show_step(before, after));
    if (after.version.value != before.version.value + 1) fail(after, "it is not the next version");
    if (after.incarnation < before.incarnation) fail(after, "an earlier incarnation of the pool");
    if (after.next_partition < before.next_partition) fail(after, "numbers went back");
    for (const auto& is : after.partitions) {
        if (is.in_sync.empty()) fail(after, number(is.id) + " has no holder");
        if (is.owner && (!is.holds(*is.owner) || !after.is_live(*is.owner)))
            fail(after, number(is.id) + " has an owner that has it not, or does not live");
        const auto* was = before.find(is.id);
        if (was != nullptr)
            check_partition(*was, before, is, after);
        else if (is.id < before.next_partition)
            fail(after, number(is.id) + " is used again");
    }
    for (const auto& was : before.members) {
        const auto* is = after.member(was.id);
        if (is == nullptr) continue;
        if (is->incarnation < was.incarnation) fail(after, "an earlier start of a node");
        if (is->acknowledged < was.acknowledged) fail(after, "less is acknowledged than before");
        if (was.live && (!is->live || is->incarnation != was.incarnation))
            journal_.counts.evictions += 1;
    }
}

void Checker::check_partition(const PartitionState& was,
                              const PoolState& before,
                              const PartitionState& is,
                              const PoolState& after) {
    const bool same_owner =
        was.owner == is.owner && (!is.owner || before.member(*is.owner)->incarnation ==
                                                   after.member(*is.owner)->incarnation);
    if (is.epoch < was.epoch) fail(after, number(is.id) + ": its epoch went back");
    if (!(same_owner && was.in_sync == is.in_sync) && is.epoch == was.epoch)
        fail(after, number(is.id) + ": another owner or set in the same epoch");
    if (is.owner && was.owner != is.owner) journal_.counts.takeovers += 1;
    if (!is.owner && was.owner) journal_.counts.waits += 1;
    // When an operator removed all that held it, it goes to everybody else.
    for (const auto& holder : is.in_sync) {
        if (!is.unvouched && !was.holds(holder) && !widened_.contains({is.id, holder}))
            fail(after, number(is.id) + ": nobody asked for " + journal_.name(holder));
    }
}

}  // namespace posthorse::sim::etcd
