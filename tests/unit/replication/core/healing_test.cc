// Which short sets are widened when, and how long one asks after what one has handed over.
#include <doctest/doctest.h>

#include "replication/core/handed_over.h"
#include "replication/core/healing.h"
#include "replication/core/placement.h"
#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

const NodeId one = test_node(1);
const NodeId two = test_node(2);
const NodeId three = test_node(3);
constexpr BootTime start{1h};

// Node 1 of three, with `sets` partitions of its own that nobody else holds.
struct Owner {
    explicit Owner(std::size_t sets, bool closing = true) : pool(pool_of(3)) {
        for (std::uint32_t i = 0; i < sets; ++i) {
            pool = with_partition(pool, {1});
            if (closing) change(ClosePartition{PartitionId{i + 1}});
        }
        here.reached = [](NodeId) { return true; };
    }

    void change(const Change& change) { pool = changed(pool, change).value(); }

    Healing::Steps due(BootTime now, bool has_mail = true) {
        std::vector<Healing::ShortSet> sets;
        for (const auto& partition : pool.partitions) sets.push_back({&partition, has_mail});
        return healing.due(pool, sets, here, now);
    }

    PoolState pool;
    Healing healing;
    Healing::Situation here;
};

}  // namespace

TEST_CASE("a few closing sets are widened at one time, the oldest first") {
    Owner owner(20);
    owner.here.inviting = 3;
    const auto steps = owner.due(start);
    REQUIRE(steps.invite.size() == 5);
    for (std::uint32_t i = 0; i < 5; ++i) CHECK(steps.invite[i].first == PartitionId{i + 1});
    CHECK(steps.invite[0].second == two);
}

TEST_CASE("all are widened when somebody waits for it") {
    Owner owner(20);
    owner.here.urgent = true;
    CHECK(owner.due(start).invite.size() == 20);
}

TEST_CASE("open sets wait for nobody, and need no mail") {
    Owner owner(20, false);
    owner.here.inviting = 8;
    CHECK(owner.due(start, false).invite.size() == 20);
}

TEST_CASE("a closing set without mail is left alone") {
    CHECK(Owner(3).due(start, false).invite.empty());
}

TEST_CASE("an invitation is repeated after a while") {
    Owner owner(1);
    CHECK(owner.due(start).invite.size() == 1);
    CHECK(owner.due(start + 4999ms).invite.empty());
    CHECK(owner.due(start + 5s).invite.size() == 1);
}

TEST_CASE("who was silent is not invited for a while, nor who is not reached") {
    Owner owner(1);
    owner.healing.avoid(two, start);
    CHECK(owner.due(start).invite.at(0).second == three);
    owner.here.reached = [](NodeId node) { return node == two; };
    CHECK(owner.due(start + 9s).invite.empty());
    CHECK(owner.due(start + 10s).invite.at(0).second == two);
}

TEST_CASE("a solo partition with mail is closed, not widened, and seldom") {
    Owner owner(0);
    owner.pool = with_partition(owner.pool, {1}, true);
    CHECK(owner.due(start, false).close.empty());
    const auto steps = owner.due(start);
    CHECK(steps.close == std::vector{PartitionId{1}});
    CHECK(steps.invite.empty());
    CHECK(owner.due(start + 29s).close.empty());
    owner.here.inviting = 1;  // others heal
    CHECK(owner.due(start + 30s).close.empty());
    owner.here.leaving = true;
    CHECK(owner.due(start + 30s).close.size() == 1);
}

TEST_CASE("who drains leaves the copies to its successor, if there is one") {
    Owner owner(0);
    owner.pool = with_partition(owner.pool, {1, 2});
    owner.change(SetCopies{3});
    owner.change(ClosePartition{PartitionId{1}});
    owner.change(SetDraining{one});
    owner.here.draining = true;
    CHECK(owner.due(start).invite.empty());
    owner.change(SetDraining{two});
    CHECK(owner.due(start).invite.at(0).second == three);
}

TEST_CASE("a partition goes to who holds it, stays, is reached, and owns least") {
    auto pool = with_partition(pool_of(4), {1, 2, 3});
    pool = with_partition(pool, {2, 1});
    const auto all = [](NodeId) { return true; };
    const auto& partition = *pool.find(PartitionId{1});
    CHECK(next_owner(pool, partition, all) == three);
    CHECK(next_owner(pool, partition, [](NodeId node) { return node != three; }) == one);
    auto drained = changed(pool, SetDraining{three}).value();
    drained = changed(drained, SetDraining{one}).value();
    CHECK(next_owner(drained, *drained.find(PartitionId{1}), all) == two);
    CHECK_FALSE(next_owner(pool, partition, [](NodeId) { return false; }));
}

TEST_CASE("what was handed over is asked for until the pool's value says so") {
    const auto pool = with_partition(pool_of(2), {1, 2});
    const auto& partition = pool.partitions.front();
    HandedOver handed_over;
    handed_over.add(partition, two);
    const auto asked = handed_over.due(true, start);
    REQUIRE(asked.size() == 1);
    CHECK(std::get<HandOver>(asked[0]).to == two);
    CHECK(std::get<HandOver>(asked[0]).epoch == partition.epoch);
    CHECK(handed_over.due(true, start + 1999ms).empty());
    handed_over.follow(pool, one);
    CHECK(handed_over.due(true, start + 2s).size() == 1);
    handed_over.follow(changed(pool, asked[0]).value(), one);
    CHECK(handed_over.empty());
}

TEST_CASE("who does not drain any more asks for another epoch") {
    const auto pool = with_partition(pool_of(2), {1, 2});
    HandedOver handed_over;
    handed_over.add(pool.partitions.front(), two);
    const auto asked = handed_over.due(false, start);
    REQUIRE(asked.size() == 1);
    const auto after = changed(pool, asked[0]).value();
    CHECK(after.partitions.front().owner == one);
    CHECK(after.partitions.front().in_sync == pool.partitions.front().in_sync);
    handed_over.follow(after, one);
    CHECK(handed_over.empty());
}
