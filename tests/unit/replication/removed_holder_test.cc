// The last holder of a partition is removed by an operator: who had a copy before goes on with it.
#include <doctest/doctest.h>

#include "tests/unit/replication/cluster.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

const NodeId one = test_node(1);

// Node 1 had partition 1 alone when it died. Node 2 was dropped before: it has what was taken until
// then, and not the last message. Node 3 never had any of it.
struct AfterTheLastHolder {
    explicit AfterTheLastHolder(Cluster& cluster) : pool(cluster) {
        known = pool[1].waiting();
        for (const int number : {2, 3}) {
            pool.kill(number);
            pool.evict(number);
        }
        REQUIRE(pool.partition().in_sync == std::vector{one});
        unknown = pool[1].waiting();
        pool.kill(1);
        pool.evict(1);
        for (const int number : {2, 3}) pool.begin_anew(number);
        pool.pass(1s);
        REQUIRE_FALSE(pool.partition().owner.has_value());
    }
    // The node that owns it after that.
    int remove() {
        REQUIRE(pool.pool.change(RemoveMember{one, Lost::accept}).has_value());
        pool.pass(2s);
        REQUIRE(pool.partition().owner.has_value());
        return *pool.partition().owner == test_node(2) ? 2 : 3;
    }
    std::vector<QueueId> ids_at(int number) {
        std::vector<QueueId> ids;
        for (const auto& message : pool[number].stored()) ids.push_back(message.id);
        return ids;
    }

    Cluster& pool;
    QueueId known, unknown;
};

}  // namespace

TEST_CASE("the copy of a former holder goes on, in doubt as a whole, whoever owns it") {
    for (const int owner : {2, 3}) {
        CAPTURE(owner);
        // Whoever owns least becomes its owner.
        Cluster cluster(3, {{1, 2}, owner == 3 ? std::vector{2} : std::vector{3}});
        AfterTheLastHolder after(cluster);
        auto& pool = after.pool;
        CHECK(after.remove() == owner);
        for (const int number : {2, 3}) CHECK(after.ids_at(number) == std::vector{after.known});
        CHECK(pool.partition().phase == PartitionPhase::closing);
        CHECK_FALSE(pool.partition().unvouched);
        const auto found = pool[owner].claim();
        REQUIRE(found.size() == 1);
        CHECK(found.front().id == after.known);
        CHECK(found.front().in_doubt == 1);
        CHECK(found.front().doubts.empty());  // decided: it is sent again

        // What was decided is not in doubt once more when its owner ends.
        pool[owner].queue->park(after.known, pool.clock.wall() + 1h);
        pool.run();
        pool.kill(owner);
        pool.evict(owner);
        pool.pass(1s);
        const int heir = 5 - owner;
        CHECK(pool.partition().owner == test_node(static_cast<std::uint8_t>(heir)));
        REQUIRE(pool[heir].stored().size() == 1);
        CHECK(pool[heir].stored().front().in_doubt == 1);
        CHECK(pool[heir].stored().front().doubts.empty());
    }
}

TEST_CASE("by policy, what a removed holder may have sent is held") {
    QueueNode::Settings settings;
    settings.in_doubt = InDoubtPolicy::hold;
    Cluster cluster(3, {{1, 2}}, settings);
    AfterTheLastHolder after(cluster);
    const int owner = after.remove();
    CHECK(after.pool[owner].claim().empty());
    REQUIRE(after.pool[owner].stored().size() == 1);
    CHECK(after.pool[owner].stored().front().held);
}

TEST_CASE("who may be the one to put mail in doubt dies: the next one does it") {
    Cluster cluster(3, {{1, 2}, {3}});
    AfterTheLastHolder after(cluster);
    auto& pool = after.pool;
    pool[2].disk_work.stall();
    REQUIRE(pool.pool.change(RemoveMember{one, Lost::accept}).has_value());
    pool.pass(500ms);
    CHECK(pool.partition().unvouched);
    pool.restart(2);
    pool.pass(3s);
    CHECK_FALSE(pool.partition().unvouched);
    REQUIRE(pool[2].stored().size() == 1);
    CHECK(pool[2].stored().front().in_doubt == 1);
}

TEST_CASE("a former holder that is away is waited for: only it has the mail") {
    Cluster cluster(3, {{1, 2}});
    AfterTheLastHolder after(cluster);
    auto& pool = after.pool;
    pool.kill(2);
    pool.evict(2);
    REQUIRE(pool.pool.change(RemoveMember{one, Lost::accept}).has_value());
    pool.pass(20s);
    CHECK(pool.partition().unvouched);
    CHECK(pool.partition().holds(test_node(2)));
    CHECK(pool[3].claim().empty());
    pool.begin_anew(2);
    pool.pass(3s);
    CHECK_FALSE(pool.partition().unvouched);
    for (const int number : {2, 3}) CHECK(after.ids_at(number) == std::vector{after.known});
}

TEST_CASE("nobody had a copy: the partition ends") {
    Cluster pool(2, {{1}, {2}});
    const auto lost = pool[1].waiting();
    pool.kill(1);
    pool.evict(1);
    REQUIRE(pool.pool.change(RemoveMember{one, Lost::accept}).has_value());
    pool.pass(10s);
    CHECK(pool.pool.value().find(lost.partition()) == nullptr);
}
