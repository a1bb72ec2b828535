#include "tests/sim/control/checker.h"

#include <algorithm>

#include "tests/sim/control/pool.h"

namespace posthorse::sim::control {
namespace {

std::pair<std::string, std::uint64_t> pool_of(const PoolState& value) {
    return {value.pool_id, value.incarnation};
}

std::string number(PoolVersion version) {
    return "version " + std::to_string(version.value);
}

std::string number(PartitionId partition) {
    return "partition " + std::to_string(partition.value);
}

}  // namespace

void Checker::fail(const PoolState& value, const std::string& what) {
    journal_.fail(what + ", in committed " + number(value.version));
}

// ------------------------------------------------------------------ agreement

Checker::Seen& Checker::seen_of(const Machine& machine) {
    auto& seen = seen_[&machine];
    if (seen.start != machine.starts()) {
        seen = {};
        seen.start = machine.starts();
    }
    return seen;
}

void Checker::saw(const Machine& machine) {
    const auto* election = machine.core().election();
    auto& seen = seen_of(machine);
    if (election != nullptr && election->durable().accepted.value) {
        const auto& accepted = election->durable().accepted.value;
        if (seen.accepted != accepted) {
            seen.accepted = accepted;
            const auto pool = pool_of(*accepted);
            if (seen.pool != pool) seen.committed.reset();
            seen.pool = pool;
            lines_[pool].accepted[accepted->version].insert(accepted);
        }
        auto& line = lines_[seen.pool];
        see_leader(machine, line, seen);
        if (election->committed() && election->committed() != seen.committed)
            see_committed(machine, line, seen);
    }
    check_owners(machine);
}

void Checker::see_leader(const Machine& machine, Line& line, Seen& seen) {
    const auto& agreement = machine.core().election()->agreement();
    if (!agreement.elected() || seen.elected == agreement.term()) return;
    seen.elected = agreement.term();
    journal_.counts.leaders += 1;
    journal_.note(machine.label() + " is elected in term " + std::to_string(seen.elected.value));
    const auto [leader, first] = line.leaders.try_emplace(agreement.term(), machine.node());
    if (!first)
        journal_.fail("two leaders in term " + std::to_string(seen.elected.value) + ": " +
                      journal_.name(leader->second) + " and " + machine.label());
}

void Checker::see_committed(const Machine& machine, Line& line, Seen& seen) {
    const auto& value = machine.core().election()->committed();
    if (seen.committed && value->version <= seen.committed->version)
        journal_.fail(machine.label() + " saw " + number(seen.committed->version) +
                      " committed and then " + number(value->version));
    seen.committed = value;
    const auto& voters = machine.core().election()->durable().accepted.configuration;
    if (line.voters != voters && value->version > line.voted_at) {
        line.voters = voters;
        line.voted_at = value->version;
        journal_.counts.reconfigured += 1;
        journal_.note("voters: " + journal_.names(voters.voters));
    }
    const auto known = line.committed.find(value->version);
    if (known == line.committed.end()) {
        if (line.committed.empty()) begin_pool(machine);
        return new_value(line, value);
    }
    if (known->second != value && *known->second != *value)
        journal_.fail("two committed values of " + number(value->version) + ": " +
                      journal_.show(*known->second) + " | " + journal_.show(*value));
}

void Checker::begin_pool(const Machine& machine) {
    journal_.counts.pools += 1;
    journal_.note("a pool begins, at " + machine.label());
    std::set<std::string> ids;
    for (const auto& [pool, line] : lines_) {
        if (!line.committed.empty()) ids.insert(pool.first);
    }
    ids.insert(machine.core().committed().pool_id);
    if (ids.size() > 1 && !pools_excused_) journal_.fail("another pool has begun");
}

void Checker::new_value(Line& line, const Value& value) {
    journal_.counts.commits += 1;
    const auto at = line.committed.emplace(value->version, value).first;
    if (journal_.told()) {
        const bool first = at == line.committed.begin();
        journal_.note("committed " + number(value->version) + ":" +
                      journal_.show_step(first ? PoolState{} : *std::prev(at)->second, *value));
    }
    check_value(*value);
    if (at != line.committed.begin()) check_step(*std::prev(at)->second, *value);
    if (std::next(at) != line.committed.end()) {
        check_step(*value, *std::next(at)->second);
        return;
    }
    if (newest_ && newest_->pool_id == value->pool_id && newest_->incarnation > value->incarnation)
        return;
    newest_ = value;
    for (const auto& machine : pool_.machines()) find_stale(*machine);
    for (const auto& machine : pool_.machines()) check_owners(*machine);
}

void Checker::check_value(const PoolState& value) {
    for (const auto& one : value.partitions) {
        if (one.in_sync.empty()) fail(value, number(one.id) + " has no holder");
        if (one.owner && !one.holds(*one.owner))
            fail(value, number(one.id) + ": its owner has it not");
        if (one.owner && !value.is_live(*one.owner))
            fail(value, number(one.id) + " has an owner that does not live");
        if (one.id >= value.next_partition) fail(value, number(one.id) + " is not numbered yet");
    }
}

void Checker::check_step(const PoolState& before, const PoolState& after) {
    if (after.next_partition < before.next_partition)
        fail(after, "numbers of partitions went back");
    for (const auto& is : after.partitions) {
        const auto* was = before.find(is.id);
        if (was != nullptr)
            check_partition(before, *was, after, is);
        else if (is.id < before.next_partition)
            fail(after, number(is.id) + " is used again");
    }
    for (const auto& was : before.partitions) {
        const bool retired = was.phase == replication::PartitionPhase::closing ||
                             after.version.value > before.version.value + 1;
        if (after.find(was.id) == nullptr && !retired && !losses_excused_)
            fail(after, number(was.id) + " is lost");
    }
    for (const auto& was : before.members) {
        const auto* is = after.member(was.id);
        if (is == nullptr) continue;
        if (is->incarnation < was.incarnation)
            fail(after, journal_.name(was.id) + " went back to an earlier start");
        if (is->acknowledged < was.acknowledged)
            fail(after, journal_.name(was.id) + " acknowledged less than before");
    }
    count_step(before, after);
}

void Checker::check_partition(const PoolState& before,
                              const PartitionState& was,
                              const PoolState& after,
                              const PartitionState& is) {
    const bool same_owner =
        was.owner == is.owner && (!is.owner || (before.member(*is.owner) != nullptr &&
                                                before.member(*is.owner)->incarnation ==
                                                    after.member(*is.owner)->incarnation));
    const bool same = same_owner && was.in_sync == is.in_sync;
    if (is.epoch < was.epoch) fail(after, number(is.id) + ": its epoch went back");
    if (!same && is.epoch == was.epoch)
        fail(after, number(is.id) + ": another owner or set in the same epoch");
    if (was.phase == replication::PartitionPhase::closing &&
        is.phase == replication::PartitionPhase::open)
        fail(after, number(is.id) + " is open again");
    // When an operator removed all that held it, it goes to everybody else.
    const bool given = is.unvouched && std::none_of(was.in_sync.begin(), was.in_sync.end(),
                                                    [&](const NodeId& holder) {
                                                        return after.member(holder) != nullptr;
                                                    });
    for (const auto& holder : is.in_sync) {
        if (!given && !was.holds(holder) && !widened_.contains({is.id, holder}))
            fail(after, number(is.id) + ": nobody asked for " + journal_.name(holder));
    }
}

void Checker::count_step(const PoolState& before, const PoolState& after) {
    for (const auto& was : before.members) {
        const auto* is = after.member(was.id);
        if (was.live && is != nullptr && (!is->live || is->incarnation != was.incarnation))
            journal_.counts.evictions += 1;
    }
    for (const auto& is : after.partitions) {
        const auto* was = before.find(is.id);
        if (was == nullptr) continue;
        if (is.owner && was->owner != is.owner) journal_.counts.takeovers += 1;
        if (!is.owner && was->owner) journal_.counts.waits += 1;
    }
}

// ------------------------------------------------------------------ owners

void Checker::changed(const Machine& machine) {
    auto& old = claims_[&machine];
    for (const auto& partition : old) {
        auto& claimants = claimants_[partition];
        claimants.erase(&machine);
        if (claimants.size() < 2) contested_.erase(partition);
    }
    old = machine.claims();
    for (const auto& partition : old) {
        auto& claimants = claimants_[partition];
        claimants.insert(&machine);
        if (claimants.size() > 1) contested_.insert(partition);
    }
    find_stale(machine);
}

void Checker::find_stale(const Machine& machine) {
    auto& stale = seen_of(machine).stale;
    stale.clear();
    if (!machine.up() || !newest_) return;
    if (machine.core().acting().pool_id != newest_->pool_id) return;
    const bool lives = newest_->is_live(machine.node(), machine.core().incarnation());
    for (const auto& claim : machine.claims()) {
        const auto* partition = newest_->find(claim);
        if (partition == nullptr) continue;  // retired: empty, and nobody's
        if (!lives || partition->owner != machine.node()) stale.push_back(claim);
    }
}

void Checker::check_owners(const Machine& machine) {
    if (!machine.up()) return;
    for (const auto& partition : contested_) {
        std::string who;
        int count = 0;
        for (const auto* claimant : claimants_[partition]) {
            if (!claimant->entitled()) continue;
            count += 1;
            who += " " + claimant->label();
        }
        if (count > 1) journal_.fail(number(partition) + " has more than one owner:" + who);
    }
    const auto& stale = seen_of(machine).stale;
    const bool another_s =
        machine.past() == DiskPast::went_back || machine.past() == DiskPast::is_a_copy;
    if (stale.empty() && !another_s) return;
    if (!machine.entitled()) return;
    if (!stale.empty())
        journal_.fail(machine.label() + " goes on with " + number(stale.front()) +
                      ", which committed " + number(newest_->version) + " gives to another");
    if (another_s)
        journal_.fail(machine.label() + " owns " + number(machine.claims().front()) +
                      " with a disk that went back or is a copy");
}

// ------------------------------------------------------------------ strangers, the end

void Checker::estranged(const Machine& machine, const std::string& why) {
    if (machine.past() != DiskPast::true_to_it || strangers_excused_) return;
    journal_.fail(machine.label() + " became a stranger without a reason: " + why);
}

void Checker::finish() {
    for (const auto& [pool, line] : lines_) {
        for (const auto& [version, values] : line.accepted) {
            const auto committed = line.committed.find(version);
            for (const auto& value : values) {
                const bool counted = committed != line.committed.end() &&
                                     (committed->second == value || *committed->second == *value);
                if (!counted) journal_.counts.discarded += 1;
            }
        }
    }
}

}  // namespace posthorse::sim::control
