#include "tests/sim/control/journal.h"

#include <algorithm>
#include <cstdio>

namespace posthorse::sim::control {

void Counts::add(const Counts& other) {
    leaders += other.leaders;
    commits += other.commits;
    evictions += other.evictions;
    discarded += other.discarded;
    takeovers += other.takeovers;
    waits += other.waits;
    reconfigured += other.reconfigured;
    starts += other.starts;
    pauses += other.pauses;
    cuts += other.cuts;
    strangers += other.strangers;
    leaves += other.leaves;
    proposals += other.proposals;
    unknowns += other.unknowns;
    pools += other.pools;
    exceptions += other.exceptions;
    messages += other.messages;
    slowest_heal = std::max(slowest_heal, other.slowest_heal);
}

std::string Counts::to_string() const {
    const std::pair<const char*, std::uint64_t> all[] = {
        {"leaders", leaders},
        {"commits", commits},
        {"evictions", evictions},
        {"discarded", discarded},
        {"takeovers", takeovers},
        {"waits", waits},
        {"reconfigured", reconfigured},
        {"starts", starts},
        {"pauses", pauses},
        {"cuts", cuts},
        {"strangers", strangers},
        {"leaves", leaves},
        {"proposals", proposals},
        {"unknowns", unknowns},
        {"pools", pools},
        {"exceptions", exceptions},
        {"messages", messages},
        {"slowest_heal_ms", slowest_heal},
    };
    std::string text;
    for (const auto& [name, value] : all)
        text += (text.empty() ? "" : ", ") + std::string(name) + " " + std::to_string(value);
    return text;
}

void Journal::note(const std::string& text) const {
    if (!told()) return;
    const auto now = world_.boot().time_since_epoch().count();
    std::printf("%4lld.%03lld  %s\n", static_cast<long long>(now / 1000),
                static_cast<long long>(now % 1000), text.c_str());
}

void Journal::fail(const std::string& what) {
    if (violation_) return;
    note("VIOLATION: " + what);
    violation_ = std::to_string(world_.boot().time_since_epoch().count()) + " ms: " + what;
}

std::string Journal::name(const NodeId& node) const {
    const auto known = names_.find(node);
    return known == names_.end() ? node.to_string() : known->second;
}

std::string Journal::names(const std::vector<NodeId>& nodes) const {
    std::string text;
    for (const auto& node : nodes) text += (text.empty() ? "" : " ") + name(node);
    return "{" + text + "}";
}

std::string Journal::show(const replication::Member& member) const {
    return " " + name(member.id) + ":" + std::to_string(member.incarnation.counter) +
           (member.live ? "" : "(ended)") + (member.draining ? "(draining)" : "");
}

std::string Journal::show(const replication::PartitionState& one) const {
    return " " + std::to_string(one.id.value) + (one.solo ? "s" : "") +
           (one.phase == replication::PartitionPhase::closing ? "c" : "") + "=" +
           (one.owner ? name(*one.owner) : "-") + names(one.in_sync) + "e" +
           std::to_string(one.epoch.value);
}

std::string Journal::show(const replication::PoolState& state) const {
    return show_step({}, state);
}

std::string Journal::show_step(const replication::PoolState& before,
                               const replication::PoolState& after) const {
    std::string text;
    for (const auto& member : after.members) {
        const auto* was = before.member(member.id);
        if (was == nullptr || show(*was) != show(member)) text += show(member);
    }
    for (const auto& was : before.members) {
        if (after.member(was.id) == nullptr) text += " " + name(was.id) + ":forgotten";
    }
    for (const auto& one : after.partitions) {
        const auto* was = before.find(one.id);
        if (was == nullptr || *was != one) text += show(one);
    }
    for (const auto& was : before.partitions) {
        if (after.find(was.id) == nullptr) text += " -" + std::to_string(was.id.value);
    }
    return text;
}

}  // namespace posthorse::sim::control
