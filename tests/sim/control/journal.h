// What happened in one run: a story for people, counts of what is rare, the first broken promise.
//
// Contract  note() costs nothing unless the story is wanted. Only the first fail() counts.
// Owner     One Simulation.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "replication/core/pool_state.h"
#include "tests/sim/world.h"

namespace posthorse::sim::control {

struct Counts {
    std::uint64_t leaders = 0;       // elections that ended in a leader
    std::uint64_t commits = 0;       // values
    std::uint64_t evictions = 0;     // incarnations ended by the leader
    std::uint64_t discarded = 0;     // values that somebody accepted and that never counted
    std::uint64_t takeovers = 0;     // partitions that went to another owner
    std::uint64_t waits = 0;         // partitions left without an owner
    std::uint64_t reconfigured = 0;  // changes of the voters
    std::uint64_t starts = 0;        // processes
    std::uint64_t pauses = 0;
    std::uint64_t cuts = 0;
    std::uint64_t strangers = 0;
    std::uint64_t leaves = 0;
    std::uint64_t proposals = 0;
    std::uint64_t unknowns = 0;  // proposals that ended so
    std::uint64_t pools = 0;
    std::uint64_t exceptions = 0;  // looks of an owner that goes on without a lease
    std::uint64_t messages = 0;
    std::uint64_t slowest_heal = 0;  // ms until all was well again

    void add(const Counts& other);
    std::string to_string() const;
};

enum class Story : bool { untold, told };

class Journal {
public:
    Journal(const World& world, Story story) : world_(world), story_(story) {}

    bool told() const { return story_ == Story::told; }
    void note(const std::string& text) const;
    void fail(const std::string& what);
    const std::optional<std::string>& violation() const { return violation_; }

    void name(const NodeId& node, std::string name) { names_[node] = std::move(name); }
    std::string name(const NodeId& node) const;
    std::string names(const std::vector<NodeId>& nodes) const;
    std::string show(const replication::PoolState& state) const;
    // What is different in `after`.
    std::string show_step(const replication::PoolState& before,
                          const replication::PoolState& after) const;

    Counts counts;

private:
    std::string show(const replication::Member& member) const;
    std::string show(const replication::PartitionState& partition) const;

    const World& world_;
    const Story story_;
    std::optional<std::string> violation_;
    std::map<NodeId, std::string> names_;
};

}  // namespace posthorse::sim::control
