#include "replication/core/placement.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;

namespace {

Configuration voters_of(const std::vector<int>& numbers) {
    return {test_nodes(numbers)};
}

PoolState with_draining(PoolState pool, int number) {
    return changed(std::move(pool), SetDraining{test_node(static_cast<std::uint8_t>(number))})
        .value();
}

PoolState with_dead(PoolState pool, int number) {
    const auto n = static_cast<std::uint8_t>(number);
    return changed(std::move(pool), Evict{{{test_node(n), first_start(n)}}, {}}).value();
}

// The configuration at the end of the way, one change at a time.
Configuration settled(Configuration now, const PoolState& pool, const std::vector<NodeId>& away) {
    for (int steps = 0; steps < 20; ++steps) {
        const auto next = next_voters(now, pool, away);
        if (!next) return now;
        now = *next;
    }
    FAIL("the voters never settle");
    return now;
}

bool differs_by_one(const Configuration& now, const Configuration& next) {
    const auto only_in = [](const Configuration& some, const Configuration& others) {
        return std::count_if(some.voters.begin(), some.voters.end(),
                             [&](const auto& node) { return !others.contains(node); });
    };
    return only_in(now, next) <= 1 && only_in(next, now) <= 1 && now != next;
}

std::size_t zones_of(const PoolState& pool, const std::vector<NodeId>& nodes) {
    std::set<std::string> zones;
    for (const auto& node : nodes) zones.insert(pool.member(node)->facts.zone);
    return zones.size();
}

PoolState tended(PoolState pool) {
    for (const auto& change : tend(pool, {})) {
        auto next = changed(pool, change);
        REQUIRE_MESSAGE(next.has_value(), next.error().what);
        pool = *std::move(next);
    }
    return pool;
}

// The open partitions of `owner` that are not solo: their sets, sorted.
std::vector<std::vector<NodeId>> open_sets(const PoolState& pool, const NodeId& owner) {
    std::vector<std::vector<NodeId>> sets;
    for (const auto& partition : pool.partitions) {
        if (partition.owner != owner || partition.solo || partition.phase != PartitionPhase::open)
            continue;
        sets.push_back(partition.in_sync);
        std::sort(sets.back().begin(), sets.back().end());
    }
    return sets;
}

std::size_t open_solos(const PoolState& pool, const NodeId& owner) {
    return static_cast<std::size_t>(
        std::count_if(pool.partitions.begin(), pool.partitions.end(), [&](const auto& partition) {
            return partition.owner == owner && partition.solo &&
                   partition.phase == PartitionPhase::open;
        }));
}

std::size_t distinct(const std::vector<std::vector<NodeId>>& sets) {
    return std::set(sets.begin(), sets.end()).size();
}

PoolState with_copies(PoolState pool, std::uint32_t copies) {
    return changed(std::move(pool), SetCopies{copies}).value();
}

std::size_t combinations(std::size_t of, std::size_t choose) {
    std::size_t count = 1;
    for (std::size_t i = 0; i < choose; ++i) count = count * (of - i) / (i + 1);
    return count;
}

}  // namespace

// ------------------------------------------------------------------ voters

TEST_CASE("how many voters a pool wants") {
    const std::size_t wanted[] = {0, 1, 2, 3, 3, 3, 3, 5, 5, 5};
    for (std::size_t nodes = 0; nodes < std::size(wanted); ++nodes) {
        CAPTURE(nodes);
        CHECK(voters_wanted(nodes) == wanted[nodes]);
    }
}

TEST_CASE("voters grow with the pool and settle at what it wants") {
    for (std::size_t nodes = 1; nodes <= 9; ++nodes) {
        CAPTURE(nodes);
        const auto voters = settled(voters_of({1}), pool_of(nodes), {});
        CHECK(voters.voters.size() == voters_wanted(nodes));
        CHECK(voters.contains(test_node(1)));
    }
}

TEST_CASE("who becomes a voter, and who stays one") {
    const auto three = pool_of(3);
    const auto four = pool_of(4);
    struct Row {
        const char* what;
        std::vector<int> now;
        PoolState pool;
        std::vector<int> away;
        std::vector<int> next;  // empty: no change
    };
    const Row rows[] = {
        {"all is well", {1, 2, 3}, four, {}, {}},
        {"a voter that is away is replaced by a spare", {1, 2, 3}, four, {3}, {1, 2, 4}},
        {"without a spare it keeps its vote", {1, 2, 3}, three, {3}, {}},
        {"a dead one too", {1, 2, 3}, with_dead(three, 3), {3}, {}},
        {"a dead one is replaced by a spare", {1, 2, 3}, with_dead(four, 3), {3}, {1, 2, 4}},
        {"a draining one is replaced", {1, 2, 3}, with_draining(four, 2), {}, {1, 3, 4}},
        {"or else goes without replacement", {1, 2, 3}, with_draining(three, 2), {}, {1, 3}},
        {"one that was removed goes", {1, 2, 9}, pool_of(2), {}, {1, 2}},
        {"draining goes before away", {1, 2, 3}, with_draining(pool_of(5), 2), {3}, {1, 3, 4}},
        {"of two the one that stays votes on", {1, 2}, with_draining(pool_of(2), 1), {}, {2}},
        {"the last vote does not go to nobody", {1}, with_draining(pool_of(1), 1), {}, {}},
        {"it moves", {1}, with_draining(pool_of(2), 1), {}, {2}},
        {"a new node does not vote while it drains", {1}, with_draining(pool_of(2), 2), {}, {}},
        {"nor while it is away", {1}, pool_of(2), {2}, {}},
        // Of the two that remain one is not there: they could decide nothing.
        {"a vote waits until those who remain can decide",
         {1, 2, 3},
         with_draining(three, 2),
         {3},
         {}},
        {"it goes to a spare meanwhile", {1, 2, 3}, with_draining(four, 2), {3}, {1, 3, 4}},
        // Only leaving and removal shrink it: the others may be back soon.
        {"nodes without a vote that are away change nothing",
         {1, 2, 3, 4, 5},
         pool_of(7),
         {6, 7},
         {}},
        {"dead ones neither", {1, 2, 3, 4, 5}, with_dead(pool_of(7), 7), {7}, {}},
        {"a smaller pool wants fewer", {1, 2, 3, 4, 5}, pool_of(6), {}, {2, 3, 4, 5}},
    };
    for (const auto& row : rows) {
        CAPTURE(row.what);
        const auto next = next_voters(voters_of(row.now), row.pool, test_nodes(row.away));
        CHECK(next.value_or(Configuration{}).voters == test_nodes(row.next));
    }
}

TEST_CASE("voters are in as many zones as possible") {
    const auto pool = pool_of({"a", "a", "a", "b", "b", "c"});
    const auto voters = settled(voters_of({1}), pool, {});
    CHECK(voters.voters.size() == 3);
    CHECK(zones_of(pool, voters.voters) == 3);
    // Whatever they were when the other zones came.
    CHECK(zones_of(pool, settled(voters_of({1, 2, 3}), pool, {}).voters) == 3);
    CHECK(zones_of(pool, settled(voters_of({1, 4, 5}), pool, {}).voters) == 3);
    // Nobody is replaced for a zone that has as many.
    CHECK_FALSE(next_voters(voters_of({1, 4, 6}), pool, {}).has_value());
    const auto two_zones = pool_of({"a", "a", "b", "b"});
    CHECK_FALSE(next_voters(voters_of({1, 2, 3}), two_zones, {}).has_value());
    CHECK_FALSE(next_voters(voters_of({1, 2, 3}), pool_of(5), {}).has_value());  // of no zone
}

TEST_CASE("random pools: votes move one at a time, settle, and never lose who can decide") {
    std::mt19937 random(1);
    for (int round = 0; round < 2000; ++round) {
        CAPTURE(round);
        const std::size_t nodes = 1 + random() % 9;
        std::vector<std::string> zones;
        for (std::size_t i = 0; i < nodes; ++i)
            zones.emplace_back(random() % 4 == 0 ? "" : std::string(1, 'a' + random() % 3));
        auto pool = pool_of(zones);
        std::vector<int> away;
        for (int number = 1; number <= static_cast<int>(nodes); ++number) {
            const auto luck = random() % 8;
            if (luck == 0) pool = with_draining(std::move(pool), number);
            if (luck == 1) away.push_back(number);
        }
        const auto is_there = [&](int n) {
            return std::find(away.begin(), away.end(), n) == away.end();
        };
        std::vector<int> there;
        for (int number = 1; number <= static_cast<int>(nodes); ++number)
            if (is_there(number)) there.push_back(number);
        Configuration now;
        for (int number = 1; number <= static_cast<int>(nodes); ++number)
            if (random() % 2 == 0)
                now.voters.push_back(test_node(static_cast<std::uint8_t>(number)));
        if (!now.is_majority(test_nodes(there))) continue;  // nobody leads: nothing is asked
        for (int steps = 0;; ++steps) {
            REQUIRE(steps < 30);
            const auto next = next_voters(now, pool, test_nodes(away));
            if (!next) break;
            CHECK_FALSE(next->voters.empty());
            CHECK(std::is_sorted(next->voters.begin(), next->voters.end()));
            CHECK(differs_by_one(now, *next));
            CHECK(next->is_majority(test_nodes(there)));
            now = *next;
        }
        if (!away.empty()) continue;
        const auto serving = std::count_if(pool.members.begin(), pool.members.end(),
                                           [](const auto& member) { return !member.draining; });
        if (serving == 0) continue;
        CHECK(now.voters.size() == voters_wanted(static_cast<std::size_t>(serving)));
        for (const auto& voter : now.voters) CHECK_FALSE(pool.member(voter)->draining);
    }
}

// ------------------------------------------------------------------ partitions

TEST_CASE(
    "every node owns its open partitions with as many copies as there can be, and a solo one") {
    for (std::size_t nodes = 1; nodes <= 9; ++nodes) {
        for (std::uint32_t copies = 1; copies <= 4; ++copies) {
            CAPTURE(nodes);
            CAPTURE(copies);
            const auto pool = tended(with_copies(pool_of(nodes), copies));
            const auto wanted = std::min<std::size_t>(copies, nodes);
            for (const auto& member : pool.members) {
                const auto sets = open_sets(pool, member.id);
                CHECK(sets.size() == open_partitions);
                for (const auto& set : sets) CHECK(set.size() == wanted);
                CHECK(open_solos(pool, member.id) == 1);
                // Different sets, as far as there are.
                CHECK(distinct(sets) ==
                      std::min(open_partitions, combinations(nodes - 1, wanted - 1)));
            }
            CHECK(tend(pool, {}).empty());
        }
    }
}

TEST_CASE("copies spread evenly over the nodes") {
    for (std::size_t nodes = 2; nodes <= 9; ++nodes) {
        CAPTURE(nodes);
        const auto pool = tended(pool_of(nodes));
        std::map<NodeId, std::size_t> copies;
        for (const auto& partition : pool.partitions) {
            for (const auto& node : partition.in_sync)
                if (partition.owner != node) copies[node] += 1;
        }
        CHECK(copies.size() == nodes);
        const auto [least, most] =
            std::minmax_element(copies.begin(), copies.end(),
                                [](const auto& a, const auto& b) { return a.second < b.second; });
        CHECK(most->second - least->second < open_partitions);
    }
}

TEST_CASE("copies are in different zones first, and in different sets within that") {
    std::mt19937 random(2);
    for (int round = 0; round < 300; ++round) {
        CAPTURE(round);
        std::vector<std::string> zones;
        for (std::size_t i = 0, n = 2 + random() % 8; i < n; ++i)
            zones.emplace_back(1, 'a' + random() % 3);
        const auto copies = static_cast<std::uint32_t>(2 + random() % 2);
        const auto pool = tended(with_copies(pool_of(zones), copies));
        const std::set<std::string> all(zones.begin(), zones.end());
        const auto wanted = std::min<std::size_t>(copies, zones.size());
        for (const auto& member : pool.members) {
            const auto sets = open_sets(pool, member.id);
            for (const auto& set : sets) CHECK(zones_of(pool, set) == std::min(all.size(), wanted));
            if (wanted != 2) continue;
            const auto elsewhere = static_cast<std::size_t>(
                std::count_if(zones.begin(), zones.end(),
                              [&](const auto& zone) { return zone != member.facts.zone; }));
            const auto choices = elsewhere > 0 ? elsewhere : zones.size() - 1;
            CHECK(distinct(sets) == std::min(open_partitions, choices));
        }
    }
}

TEST_CASE("what falls short of copies stays open, for its owner to widen") {
    const auto one = test_node(1);
    const auto before = tended(pool_of(3));
    const auto pool = tended(with_dead(before, 3));
    const auto sets = open_sets(pool, one);
    CHECK(sets.size() == open_partitions);
    CHECK(distinct(sets) == 2);  // with node 2 still, and alone
    for (const auto& partition : before.partitions) {
        // Of what it had and what it took from the dead one the short ones are beyond its share.
        if (partition.owner == one && partition.holds(test_node(2)))
            CHECK(pool.find(partition.id)->phase == PartitionPhase::open);
    }
    CHECK(tend(pool, {}).empty());
}

TEST_CASE("when all of a node fall short, one that does not is opened, and one of them closed") {
    auto pool = tended(pool_of(1));
    const auto alone = open_sets(pool, test_node(1));
    pool = tended(changed(pool, start_of(2, 1, "")).value());
    const auto sets = open_sets(pool, test_node(1));
    CHECK(sets.size() == open_partitions);
    CHECK(std::count_if(sets.begin(), sets.end(),
                        [](const auto& set) { return set.size() == 2; }) == 1);
    CHECK(pool.find(PartitionId{1})->phase == PartitionPhase::closing);  // the oldest
    for (const auto& set : open_sets(pool, test_node(2))) CHECK(set.size() == 2);
}

TEST_CASE("what an owner has beyond its share is closed") {
    auto pool = tended(pool_of(2));
    pool = tended(with_dead(std::move(pool), 2));
    CHECK(open_sets(pool, test_node(1)).size() == open_partitions);
    CHECK(open_solos(pool, test_node(1)) == 1);
}

TEST_CASE("a draining node takes nothing new and holds nothing new") {
    auto pool = tended(pool_of(3));
    pool = tended(with_draining(std::move(pool), 2));
    const auto two = test_node(2);
    CHECK(open_sets(pool, two).empty());
    CHECK(open_solos(pool, two) == 0);
    const auto before = pool.next_partition;
    pool = tended(with_copies(std::move(pool), 3));  // more are opened: without it
    for (const auto& partition : pool.partitions) {
        if (partition.id >= before) CHECK_FALSE(partition.holds(two));
    }
}

TEST_CASE("random lives of a pool: nothing is opened or closed twice for one reason") {
    std::mt19937 random(3);
    for (int round = 0; round < 60; ++round) {
        CAPTURE(round);
        auto pool = tended(with_copies(pool_of(1 + random() % 6), 1 + random() % 3));
        for (int step = 0; step < 30; ++step) {
            CAPTURE(step);
            const auto number = static_cast<std::uint8_t>(1 + random() % 7);
            const auto* member = pool.member(test_node(number));
            Change change = SetCopies{static_cast<std::uint32_t>(1 + random() % 3)};
            if (member == nullptr || !member->live)
                change = start_of(number, member ? member->incarnation.counter + 1 : 1, "");
            else if (random() % 3 == 0)
                change = SetDraining{member->id, !member->draining};
            else if (random() % 2 == 0)
                change = Evict{{{member->id, member->incarnation}}, {}};
            pool = tended(changed(pool, change).value());
            CHECK(tend(pool, {}).empty());
            for (const auto& one : pool.members) {
                if (!one.live || one.draining) continue;
                CHECK(open_sets(pool, one.id).size() == open_partitions);
                CHECK(open_solos(pool, one.id) >= 1);
            }
        }
    }
}
