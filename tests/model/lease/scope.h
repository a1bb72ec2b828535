// What one search of the leases covers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replication/core/pool_state.h"

namespace posthorse::model::lease {

using Slot = std::uint8_t;  // a process; slot 0 is the first of node A
using Mask = std::uint8_t;  // bit n: node n, or slot n
constexpr Slot slots_max = 4;
constexpr std::uint8_t nodes_max = 3;

// A unit of time is a millisecond: the drift margin of this is one unit.
constexpr Duration ttl{20};

// Faults of what drives the production code; `sound` has none.
enum class Driver : std::uint8_t {
    sound,
    wall_clock,          // a node's end of its lease is on a clock that jumps back
    count_from_arrival,  // a lease counts from when the answer arrives
    lead_at_election,    // grants and counts before anything is committed in its own term
    leave_then_stop,     // a leaver goes on until it hears that it is gone
};

struct Extra {  // what the leader may put into a value, whether or not something else is due
    std::string_view what;
    std::optional<Mask> voters;
    std::optional<replication::Change> change;
};

struct Scope {
    std::string_view name;
    std::string_view about;
    std::vector<std::uint8_t> processes;  // the node of each; a node that stands twice has a clone
    Mask voters = 0;
    Mask leaders = 0;  // nodes that may stand, beyond the one that leads first
    std::uint8_t owner = 0;
    std::uint8_t leader = 1;
    std::uint8_t terms = 1;
    std::uint8_t versions = 3;  // the first one is 1
    std::uint8_t rounds = 1;    // of heartbeats, for each leader
    std::array<std::uint8_t, slots_max> renewals{};
    std::array<std::uint8_t, slots_max> restarts{};
    Mask steady = 0;    // nodes whose lease is always live: only others lapse
    Mask leaves = 0;    // slots that may leave
    Mask drifting = 0;  // slots whose clock may lose a unit
    std::uint8_t ticks = 9;
    std::uint8_t tick = 5;  // units
    std::vector<Extra> extras;
    bool evict_proposed = false;  // begins a TTL later: the leader alone accepted the owner's end
    bool by_hand = false;
    Driver driver = Driver::sound;
    std::uint64_t states_max = 100'000'000;
};

}  // namespace posthorse::model::lease
