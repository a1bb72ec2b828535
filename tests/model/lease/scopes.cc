#include "tests/model/lease/scopes.h"

#include "proto/types/assert.h"
#include "tests/model/lease/values.h"

namespace posthorse::model::lease {
namespace {

using namespace replication;

constexpr Mask a = 1, b = 2, c = 4, ab = a | b, bc = b | c, abc = a | b | c;

std::vector<Scope> one_leader() {
    return {
        {.name = "evict",
         .about = "renewals against Evict",
         .processes = {0, 1},
         .voters = b,
         .versions = 2,
         .rounds = 2,
         .renewals = {2},
         .steady = b,
         .drifting = a,
         .ticks = 9},
        {.name = "leave",
         .about = "a leaver",
         .processes = {0, 1},
         .voters = b,
         .versions = 2,
         .rounds = 1,
         .renewals = {1},
         .steady = b,
         .leaves = a,
         .drifting = a,
         .ticks = 9},
        {.name = "restart",
         .about = "an owner starts again and waits",
         .processes = {0, 1},
         .voters = b,
         .versions = 3,
         .rounds = 1,
         .renewals = {2},
         .restarts = {1},
         .steady = b,
         .drifting = a,
         .ticks = 9},
        {.name = "clone",
         .about = "another process on a copy of the owner's directory",
         .processes = {0, 1, 0},
         .voters = b,
         .versions = 3,
         .rounds = 1,
         .renewals = {1, 0, 2},
         .steady = b,
         .drifting = a | c,
         .ticks = 5,
         .tick = 10},
        {.name = "behind",
         .about = "an owner that renews and never hears what was agreed",
         .processes = {0, 1},
         .voters = b,
         .versions = 2,
         .rounds = 3,
         .renewals = {3},
         .steady = b,
         .drifting = a,
         .ticks = 6,
         .tick = 10,
         .extras = {{"B is dropped", {}, Change{DropHolder{{1}, {1}, id_of(1)}}}}},
    };
}

std::vector<Scope> leaders() {
    return {
        {.name = "evict_discarded",
         .about = "the owner's end is accepted by some, then discarded or not",
         .processes = {0, 1, 2},
         .voters = abc,
         .leaders = bc,
         .terms = 3,
         .versions = 3,
         .rounds = 1,
         .renewals = {1},
         .steady = bc,
         .ticks = 2,
         .tick = 20,
         .evict_proposed = true},
        {.name = "leader_restarts",
         .about = "the only voter starts again: it knows of no lease",
         .processes = {0, 1},
         .voters = b,
         .leaders = b,
         .terms = 2,
         .versions = 3,
         .rounds = 1,
         .renewals = {1},
         .restarts = {0, 1},
         .steady = b,
         .drifting = a,
         .ticks = 9},
        {.name = "next_leader",
         .about = "another leader while a renewal of the owner is under way",
         .processes = {0, 1, 2},
         .voters = abc,
         .leaders = c,
         .terms = 2,
         .versions = 3,
         .rounds = 1,
         .renewals = {1},
         .steady = bc,
         .drifting = a,
         .ticks = 4,
         .tick = 10},
        {.name = "owner_led",
         .about = "the owner itself was the leader",
         .processes = {0, 1, 2},
         .voters = abc,
         .leaders = c,
         .leader = 0,
         .terms = 2,
         .versions = 3,
         .rounds = 1,
         .renewals = {1},
         .steady = bc,
         .drifting = a,
         .ticks = 4,
         .tick = 10},
    };
}

std::vector<Scope> two_voters() {
    return {
        {.name = "two_voters",
         .about = "two voters, divided",
         .processes = {0, 1},
         .voters = ab,
         .leaders = ab,
         .terms = 2,
         .versions = 3,
         .rounds = 1,
         .renewals = {1},
         .steady = b,
         .drifting = a,
         .ticks = 4,
         .tick = 10},
        {.name = "third_comes",
         .about = "a third voter is added",
         .processes = {0, 1, 2},
         .voters = ab,
         .leaders = c,
         .terms = 2,
         .versions = 4,
         .rounds = 1,
         .renewals = {},
         .steady = bc,
         .ticks = 2,
         .tick = 20,
         .extras = {{"C votes", abc, {}}}},
        {.name = "third_goes",
         .about = "the owner leads, and a third voter is removed",
         .processes = {0, 1, 2},
         .voters = abc,
         .leaders = c,
         .leader = 0,
         .terms = 2,
         .versions = 4,
         .rounds = 1,
         .renewals = {},
         .steady = bc,
         .ticks = 2,
         .tick = 20,
         .extras = {{"C does not vote", ab, {}}}},
    };
}

// One of the above with more of something.
Scope larger(std::string_view of, std::string_view name, void (*grow)(Scope&)) {
    for (const auto& group : {one_leader(), leaders(), two_voters()}) {
        for (auto scope : group) {
            if (scope.name != of) continue;
            grow(scope);
            scope.name = name;
            scope.by_hand = true;
            return scope;
        }
    }
    PH_ASSERT(false);
}

std::vector<Scope> scopes_by_hand() {
    const auto finer = [](Scope& scope) {
        scope.ticks = static_cast<std::uint8_t>(scope.ticks * scope.tick / 5);
        scope.tick = 5;
    };
    const auto renewing = [](Scope& scope) {
        scope.renewals = {1};
        scope.tick = 10;
        scope.ticks = 4;
    };
    return {
        larger("evict", "full_evict",
               [](Scope& scope) {
                   scope.tick = 4;
                   scope.ticks = 12;
                   scope.drifting = ab;
               }),
        larger("evict", "full_three_renewals",
               [](Scope& scope) {
                   scope.renewals = {3};
                   scope.rounds = 3;
                   scope.ticks = 10;
               }),
        larger("evict", "full_evict_either",
               [](Scope& scope) {
                   scope.steady = 0;
                   scope.renewals = {1, 1};
                   scope.tick = 10;
                   scope.ticks = 5;
               }),
        larger("leave", "full_leave",
               [](Scope& scope) {
                   scope.renewals = {2};
                   scope.rounds = 2;
                   scope.restarts = {1};
                   scope.versions = 3;
                   scope.tick = 10;
                   scope.ticks = 5;
               }),
        larger("next_leader", "full_next_leader", finer),
        larger("next_leader", "full_two_rounds", [](Scope& scope) { scope.rounds = 2; }),
        larger("evict_discarded", "full_evict_discarded",
               [](Scope& scope) {
                   scope.tick = 10;
                   scope.ticks = 4;
               }),
        larger("clone", "full_clone", [](Scope& scope) { scope.rounds = 2; }),
        larger("third_comes", "full_third_comes", renewing),
        larger("third_goes", "full_third_goes", renewing),
        larger("third_goes", "full_third_goes_from_B", [](Scope& scope) { scope.leader = 1; }),
    };
}

std::string text(Mask mask) {
    std::string names = "{";
    for (unsigned node = 0; node < nodes_max; ++node) {
        if (mask >> node & 1) names += static_cast<char>('A' + node);
    }
    return names + "}";
}

std::string_view text(Driver driver) {
    switch (driver) {
        case Driver::sound:
            return "";
        case Driver::wall_clock:
            return ", leases on the wall clock";
        case Driver::count_from_arrival:
            return ", leases from when the answer arrives";
        case Driver::lead_at_election:
            return ", grants from the election on";
        case Driver::leave_then_stop:
            return ", leavers stop when they are gone";
    }
    return {};
}

}  // namespace

std::vector<Scope> scopes() {
    std::vector<Scope> all;
    for (const auto& more : {two_voters(), one_leader(), leaders(), scopes_by_hand()})
        all.insert(all.end(), more.begin(), more.end());
    return all;
}

std::string describe(const Scope& scope) {
    std::string line(scope.about);
    line += "; processes ";
    for (const auto node : scope.processes) line += static_cast<char>('A' + node);
    line += ", voters " + text(scope.voters) + ", terms 1.." + std::to_string(scope.terms) +
            ", versions 1.." + std::to_string(scope.versions) + ", rounds " +
            std::to_string(scope.rounds) + ", renewals";
    for (std::size_t slot = 0; slot < scope.processes.size(); ++slot)
        line += " " + std::to_string(scope.renewals[slot]);
    line += ", " + std::to_string(scope.ticks) + " ticks of " + std::to_string(scope.tick) +
            ", TTL " + std::to_string(ttl.count()) + ", drifting " + text(scope.drifting);
    for (const auto& extra : scope.extras) line += ", maybe " + std::string(extra.what);
    return line + std::string(text(scope.driver));
}

}  // namespace posthorse::model::lease
