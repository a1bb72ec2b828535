// Who holds copies: as the leader opens partitions, and as their owners widen them.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "replication/core/placement.h"
#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;

namespace {

const NodeId one = test_node(1);
const NodeId two = test_node(2);
const NodeId three = test_node(3);
const NodeId four = test_node(4);
const PartitionId first{1};

PoolState after(const PoolState& state, const Change& change) {
    auto next = changed(state, change);
    REQUIRE_MESSAGE(next.has_value(), next.error().what);
    return *std::move(next);
}

PoolState with_dead(const PoolState& pool, std::uint8_t number) {
    return after(pool, Evict{{{test_node(number), first_start(number)}}, {}});
}

bool everybody(NodeId) {
    return true;
}

std::optional<NodeId> next_of(const PoolState& pool, PartitionId id = first) {
    return next_holder(pool, *pool.find(id), everybody);
}

}  // namespace

TEST_CASE("as many copies as there should be, or as there are nodes that stay") {
    for (std::uint8_t nodes = 1; nodes <= 4; ++nodes) {
        CAPTURE(nodes);
        CHECK(copies_wanted(pool_of(nodes)) == std::min<std::size_t>(2, nodes));
    }
    const auto pool = after(pool_of(3), SetCopies{3});
    CHECK(copies_wanted(pool) == 3);
    CHECK(copies_wanted(after(pool, SetDraining{two})) == 2);
    CHECK(copies_wanted(with_dead(pool, 3)) == 2);
}

TEST_CASE("who drains or is dead holds a copy, and does not stay") {
    const auto pool = with_partition(pool_of(4), {1, 2, 3});
    CHECK(staying_holders(pool, *pool.find(first)) == 3);
    const auto drained = after(pool, SetDraining{two});
    CHECK(staying_holders(drained, *drained.find(first)) == 2);
    const auto dead = with_dead(drained, 3);
    CHECK(staying_holders(dead, *dead.find(first)) == 1);
    auto all = with_partition(pool_of(2), {1, 2});
    all = after(all, Evict{{{one, first_start(1)}, {two, first_start(2)}}, {}});
    CHECK(staying_holders(all, *all.find(first)) == 0);  // the set stays, for those who come back
}

TEST_CASE("whom the owner of a short set invites") {
    struct Row {
        const char* what;
        PoolState pool;
        std::optional<NodeId> next;
    };
    const auto zones = with_partition(pool_of({"a", "a", "b", "b"}), {1});
    const Row rows[] = {
        {"nobody is there", with_partition(pool_of(1), {1}), std::nullopt},
        {"everybody holds it", with_partition(pool_of(2), {1, 2}), std::nullopt},
        {"another zone first", zones, three},
        {"a zone of nobody is as good as another", with_partition(pool_of({"a", "a", ""}), {1}),
         three},
        {"the same zone is better than nobody", with_partition(pool_of({"a", "a"}), {1}), two},
        {"not who drains", after(with_partition(pool_of(3), {1}), SetDraining{two}), three},
        {"not who is dead", with_dead(with_partition(pool_of(3), {1}), 2), three},
        {"who holds least", with_partition(with_partition(pool_of(3), {1}), {2, 1}), three},
        {"what nodes hold alone does not count",
         with_partition(with_partition(pool_of(2), {1}), {2}, true), two},
        {"out of all zones of the set", with_partition(pool_of({"a", "b", "a", "b", "c"}), {1, 2}),
         test_node(5)},
    };
    for (const auto& row : rows) {
        CAPTURE(row.what);
        CHECK(next_of(row.pool) == row.next);
    }
    CHECK(next_holder(zones, *zones.find(first), [](NodeId node) { return node != three; }) ==
          four);
    CHECK_FALSE(next_holder(zones, *zones.find(first), [](NodeId) { return false; }).has_value());
}

TEST_CASE("the zones of the set decide before the load does") {
    auto pool = pool_of({"a", "a", "b"});
    pool = with_partition(pool, {1});
    for (int i = 0; i < 3; ++i) pool = with_partition(pool, {3});
    CHECK(next_of(pool) == three);
}

TEST_CASE("partitions that fall short are counted, and what is alone on purpose is not") {
    auto pool = with_partition(pool_of(3), {1, 2});
    CHECK(short_partitions(pool) == 0);
    pool = with_partition(pool, {2});
    CHECK(short_partitions(pool) == 1);
    pool = with_partition(pool, {3}, true);
    CHECK(short_partitions(pool) == 1);
    pool = after(pool, ClosePartition{{3}});
    CHECK(short_partitions(pool) == 2);  // it has mail that ought to be elsewhere too
    // What drains with its node is held elsewhere as well, or it is short.
    CHECK(short_partitions(after(pool, SetDraining{two})) == 3);
    // Of whom nobody lives nobody can make copies.
    CHECK(short_partitions(with_dead(pool, 3)) == 1);
    CHECK(short_partitions(with_partition(pool_of(1), {1})) == 0);
}

TEST_CASE("the leader gives no copies to nodes that it does not hear") {
    const auto pool = pool_of(3);
    PoolState next = pool;
    for (const auto& change : tend(pool, {three})) {
        if (const auto* open = std::get_if<OpenPartition>(&change)) {
            if (open->in_sync.front() != three)
                CHECK(std::find(open->in_sync.begin(), open->in_sync.end(), three) ==
                      open->in_sync.end());
        }
        next = after(next, change);
    }
    // Nor does one that nobody hears keep the others from having all their copies.
    for (const auto& partition : next.partitions) {
        if (partition.owner == one && !partition.solo) CHECK(partition.holds(two));
    }
    CHECK(tend(next, {three}).empty());
    // With nobody else in reach nothing is opened again and again.
    auto alone = pool;
    for (const auto& change : tend(pool, {two, three})) alone = after(alone, change);
    CHECK(tend(alone, {two, three}).empty());
}

TEST_CASE("random pools: a set that its owner widens ends with all the copies there can be") {
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
        CAPTURE(round);
        std::vector<std::string> zones;
        for (std::size_t i = 0, n = 1 + random() % 6; i < n; ++i)
            zones.emplace_back(random() % 3 == 0 ? "" : std::string(1, 'a' + random() % 3));
        auto pool = after(with_partition(pool_of(zones), {1}),
                          SetCopies{static_cast<std::uint32_t>(1 + random() % 4)});
        for (const auto& member : pool_of(zones).members) {
            if (member.id != one && random() % 4 == 0) pool = after(pool, SetDraining{member.id});
        }
        while (staying_holders(pool, *pool.find(first)) < copies_wanted(pool)) {
            const auto next = next_of(pool);
            REQUIRE(next.has_value());
            pool = after(pool, AddHolder{first, pool.find(first)->epoch, *next});
        }
        CHECK(short_partitions(pool) == 0);
    }
}
