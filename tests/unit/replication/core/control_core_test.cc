#include "replication/core/control_core.h"

#include <doctest/doctest.h>

#include <chrono>

#include "replication/core/placement.h"
#include "tests/unit/replication/core/control_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

constexpr auto ttl = ControlPool::ttl;

NodeId id_of(int number) {
    return test_node(static_cast<std::uint8_t>(number));
}

// So many nodes that began a pool together, and act.
struct Pool : ControlPool {
    explicit Pool(int nodes) {
        for (int number = 1; number <= nodes; ++number)
            add(number, nodes == 1 ? 0 : static_cast<std::uint32_t>(nodes));
        for (int number = 1; number <= nodes; ++number) start(number);
        REQUIRE(run_until([&] { return all_act(nodes); }, 10s));
        run(2s);  // votes and partitions find their places
    }
    bool all_act(int nodes) {
        for (int number = 1; number <= nodes; ++number)
            if (!acts(number) || owned_open(number) < open_partitions + 1) return false;
        return true;
    }
    int follower() { return leader() == 2 ? 3 : 2; }
    void split(std::vector<int> side) {
        cut = [side = std::move(side)](int from, int to) {
            const auto in = [&](int n) {
                return std::find(side.begin(), side.end(), n) != side.end();
            };
            return in(from) != in(to);
        };
    }
    void heal() {
        cut = [](int, int) { return false; };
    }
    // Open ones.
    std::size_t owned_open(int number) {
        const auto& partitions = core(number).acting().partitions;
        return static_cast<std::size_t>(
            std::count_if(partitions.begin(), partitions.end(), [&](const auto& partition) {
                return partition.owner == id_of(number) && partition.phase == PartitionPhase::open;
            }));
    }
};

}  // namespace

// ------------------------------------------------------------------ one

TEST_CASE("a pool of one begins with few writes, and acts") {
    ControlPool pool;
    auto& machine = pool.add(1, 0);
    pool.start(1);
    REQUIRE(pool.run_until([&] { return pool.acts(1); }, 100ms));
    CHECK(machine.writes == 3);  // itself, its first value, its start
    CHECK(pool.owned(1) == open_partitions + 1);
    CHECK(pool.core(1).committed().members.size() == 1);
    pool.run(1s);
    CHECK(pool.core(1).status(pool.now).lease_left > ttl / 2);
    CHECK(pool.core(1).status(pool.now).phase == "member");
    const auto writes = machine.writes;
    pool.run(60s);
    CHECK(machine.writes == writes);  // renewals write nothing
}

TEST_CASE("a pool of one that restarts ends its earlier start at once, and keeps what it owns") {
    Pool pool(1);
    const auto before = pool.core(1).acting();
    pool.restart(1);
    REQUIRE(pool.run_until([&] { return pool.acts(1); }, 100ms));
    CHECK(pool.machines[1].writes == 3);
    CHECK(pool.core(1).incarnation().counter == 2);
    for (const auto& partition : before.partitions) {
        const auto* now = pool.core(1).acting().find(partition.id);
        REQUIRE(now != nullptr);
        CHECK(now->owner == test_node(1));
        CHECK(now->epoch > partition.epoch);
    }
    CHECK(pool.core(1).acting().partitions.size() == before.partitions.size());
}

TEST_CASE("a node whose disk hangs owns nothing for longer than its lease") {
    Pool pool(3);
    const int hung = pool.follower();
    pool.machines[hung].disk_hangs = true;
    pool.run(ttl + 2s);
    CHECK_FALSE(pool.acts(hung));
}

TEST_CASE("the last node leaves by itself") {
    Pool pool(1);
    pool.leave(1);
    CHECK(pool.owned(1) == 0);  // it stops before it asks
    CHECK_FALSE(pool.acts(1));
    REQUIRE(pool.run_until([&] { return pool.machines[1].left; }, 1s));
    pool.restart(1);
    REQUIRE(pool.run_until([&] { return pool.acts(1); }, 1s));
    CHECK(pool.owned(1) == open_partitions + 1);
}

// ------------------------------------------------------------------ three

TEST_CASE("three that expect three are one pool") {
    Pool pool(3);
    const auto& state = pool.core(1).committed();
    CHECK(state.members.size() == 3);
    for (int number : {1, 2, 3}) {
        CHECK(pool.core(number).committed() == state);
        CHECK(pool.owned_open(number) == open_partitions + 1);
        CHECK(pool.core(number).status(pool.now).voters.voters == test_nodes({1, 2, 3}));
        CHECK(pool.machines[number].stranger.empty());
    }
}

TEST_CASE("nodes that come later find the pool, and serve") {
    Pool pool(3);
    pool.add(4, 3);
    pool.start(4);
    REQUIRE(pool.run_until([&] { return pool.acts(4); }, 8s));
    pool.run(1s);
    CHECK(pool.owned_open(4) == open_partitions + 1);
    CHECK(pool.core(1).committed().members.size() == 4);
}

TEST_CASE("a dead node's partitions have another owner within its TTL and two seconds (P5)") {
    for (const bool leads : {false, true}) {
        CAPTURE(leads);
        Pool pool(3);
        const int dead = leads ? pool.leader() : pool.follower();
        const int other = dead == 1 ? 2 : 1;
        pool.kill(dead);
        const auto taken = [&] {
            const auto& state = pool.core(other).committed();
            return !state.is_live(id_of(dead));
        };
        pool.run(ttl - 3s);
        CHECK_FALSE(taken());  // it renewed a moment before it died
        CHECK(pool.run_until(taken, leads ? ttl + 5s : 5s));
        for (const auto& partition : pool.core(other).committed().partitions) {
            CHECK(partition.owner != id_of(dead));
            // What only it holds waits for it: its solo one, and what it opened before others came.
            CHECK(partition.owner.has_value() == (partition.in_sync != std::vector{id_of(dead)}));
        }
    }
}

TEST_CASE("a node that leaves hands over at once, leader or not") {
    for (const bool leads : {false, true}) {
        CAPTURE(leads);
        Pool pool(3);
        const int leaver = leads ? pool.leader() : pool.follower();
        const int other = leaver == 1 ? 2 : 1;
        pool.leave(leaver);
        CHECK(pool.owned(leaver) == 0);
        REQUIRE(pool.run_until([&] { return pool.machines[leaver].left; }, 4s));
        pool.kill(leaver);
        CHECK(pool.run_until(
            [&] {
                return pool.leader() != 0 &&
                       pool.core(other).status(pool.now).voters.voters.size() == 2;
            },
            3s));
        for (int number : {1, 2, 3})
            if (number != leaver) CHECK(pool.acts(number));
        CHECK_FALSE(pool.core(other).status(pool.now).voters.contains(id_of(leaver)));
    }
}

TEST_CASE("all leave, one after another, and come back as one pool") {
    Pool pool(3);
    const auto before = pool.core(1).committed();
    for (int number : {1, 2, 3}) {
        pool.leave(number);
        REQUIRE(pool.run_until([&] { return pool.machines[number].left; }, 8s));
        pool.kill(number);
    }
    for (int number : {3, 2, 1}) pool.start(number);
    CHECK(pool.run_until([&] { return pool.all_act(3); }, 2 * ttl));
    CHECK(pool.core(1).committed().pool_id == before.pool_id);
}

TEST_CASE("a leaver that missed the answer hears it from those who came when all others had gone") {
    Pool pool(2);
    const int leaver = pool.follower();
    const int leader = pool.leader();
    const auto is_out = [&] {
        const auto& live = pool.core(leader).committed();
        return live.member(id_of(leaver)) == nullptr || !live.member(id_of(leaver))->live;
    };
    pool.cut = [&](int, int to) { return to == leaver && is_out(); };
    pool.leave(leaver);
    REQUIRE(pool.run_until(is_out, 4s));
    pool.propose(leader, RemoveMember{id_of(leaver), Lost::accept});
    REQUIRE(pool.run_until(
        [&] { return pool.core(leader).committed().member(id_of(leaver)) == nullptr; }, 4s));
    pool.add(3, 2);
    pool.start(3);
    REQUIRE(pool.run_until([&] { return pool.acts(3); }, 2 * ttl));
    pool.leave(leader);
    REQUIRE(pool.run_until([&] { return pool.machines[leader].left; }, 8s));
    pool.kill(leader);
    CHECK_FALSE(pool.machines[leaver].left);
    pool.heal();
    CHECK(pool.run_until([&] { return pool.machines[leaver].left; }, 2s));
}

TEST_CASE("a node that restarts waits for its earlier start to end, and keeps its places") {
    Pool pool(3);
    const int node = pool.follower();
    const auto id = id_of(node);
    const auto before = pool.core(1).committed();
    pool.restart(node);
    pool.run(ttl - 3s);
    CHECK_FALSE(pool.core(node).running());
    CHECK(pool.owned(node) == 0);
    CHECK(pool.core(node).status(pool.now).phase == "waiting for its earlier start to end");
    REQUIRE(pool.run_until([&] { return pool.acts(node); }, 5s));
    CHECK(pool.core(node).incarnation().counter == 2);
    for (const auto& partition : before.partitions) {
        const auto* now = pool.core(1).committed().find(partition.id);
        if (now == nullptr) continue;
        CHECK(now->owner == partition.owner);
        CHECK(now->holds(id) == partition.holds(id));
    }
}

TEST_CASE("all restart at once, and go on with what they had") {
    Pool pool(3);
    const auto before = pool.core(1).committed();
    for (int number : {1, 2, 3}) pool.kill(number);
    SUBCASE("alone") {}
    SUBCASE("while an empty node looks for others to begin a pool with") {
        // Its id is the lowest, it would coordinate.
        auto& newcomer = pool.add(9, 3);
        newcomer.disk.self.bytes.fill(0);
        pool.start(9);
        pool.run(300ms);  // it has looked
    }
    for (int number : {1, 2, 3}) pool.start(number);
    CHECK(pool.run_until([&] { return pool.all_act(3); }, 2 * ttl));
    for (int number : {1, 2, 3}) {
        CHECK(pool.machines[number].stranger.empty());
        CHECK(pool.core(number).committed().pool_id == before.pool_id);
        CHECK(pool.machines[number].disk.pool_id == before.pool_id);
    }
    for (const auto& partition : before.partitions)
        CHECK(pool.core(1).committed().find(partition.id) != nullptr);
    if (pool.machines.contains(9)) {
        CHECK(pool.run_until([&] { return pool.acts(9); }, 8s));
        CHECK(pool.core(9).committed().pool_id == before.pool_id);
    }
}

TEST_CASE("nobody hears of a pool before it is on the disk of the node that began it") {
    Pool pool(0);
    for (int number : {1, 2, 3}) pool.add(number, 3);
    auto& coordinator = pool.machines[1];
    coordinator.hangs_at = [](const ControlRecord& record) { return !record.pool_id.empty(); };
    for (int number : {1, 2, 3}) pool.start(number);
    REQUIRE(pool.run_until([&] { return coordinator.disk_hangs; }, 5s));
    pool.run(2s);
    for (int number : {2, 3}) CHECK(pool.machines[number].disk.pool_id.empty());
    coordinator.hangs_at = {};
    coordinator.disk_hangs = false;
    pool.restart(1);
    CHECK(pool.run_until([&] { return pool.all_act(3); }, 10s));
}

TEST_CASE("a copy of a node's disk is a stranger, and the node goes on") {
    Pool pool(3);
    const int node = pool.follower();
    auto& copy = pool.add(8, 3);
    copy.disk = pool.machines[node].disk;
    pool.start(8);
    CHECK(pool.run_until([&] { return !copy.stranger.empty(); }, 5s));
    CHECK(pool.machines[node].stranger.empty());
    CHECK(pool.acts(node));
    CHECK_FALSE(pool.core(8).running());
}

TEST_CASE("a disk that went back is a stranger's") {
    Pool pool(3);
    const int node = pool.follower();
    const auto old = pool.machines[node].disk;
    pool.propose(1, SetDraining{test_node(1)});  // versions go on
    pool.run(2s);
    pool.kill(node);
    pool.machines[node].disk = old;
    pool.start(node);
    CHECK(pool.run_until([&] { return !pool.machines[node].stranger.empty(); }, 5s));
}

TEST_CASE("a disk that went back is a stranger's, also when all begin at once") {
    Pool pool(3);
    const int node = pool.follower();
    const auto old = pool.machines[node].disk;
    pool.propose(1, SetDraining{test_node(1)});
    pool.run(2s);
    pool.propose(1, SetDraining{test_node(1), false});  // tells the others what it acknowledged
    pool.run(2s);
    for (int number : {1, 2, 3}) pool.kill(number);
    pool.machines[node].disk = old;
    for (int number : {1, 2, 3}) pool.start(number);
    CHECK(pool.run_until([&] { return !pool.machines[node].stranger.empty(); }, 5s));
}

TEST_CASE("one of three that is cut off stops, the others go on, and it comes back") {
    Pool pool(3);
    const int lone = pool.follower();
    pool.split({lone});
    pool.run(ttl + 2s);
    CHECK_FALSE(pool.acts(lone));
    CHECK(pool.leader() != 0);
    pool.heal();
    CHECK(pool.run_until([&] { return pool.acts(lone); }, 5s));
    CHECK(pool.core(lone).incarnation().counter == 2);  // the first was ended
}

// ------------------------------------------------------------------ two

TEST_CASE("two that are split go on, each with its own, and nobody takes the other's (rule 7)") {
    Pool pool(2);
    const auto before = pool.core(1).acting();
    pool.split({1});
    pool.run(3 * ttl);
    for (int number : {1, 2}) {
        CHECK(pool.acts(number));
        CHECK(pool.owned_open(number) == open_partitions + 1);
        CHECK_FALSE(pool.core(number).status(pool.now).evictable);
    }
    pool.heal();
    pool.run(5s);
    CHECK(pool.leader() != 0);
    for (int number : {1, 2}) {
        CHECK(pool.acts(number));
        CHECK(pool.core(number).incarnation().counter == 1);
    }
}

TEST_CASE("of two, one that restarts while the other is away waits for it") {
    Pool pool(2);
    pool.kill(2);
    pool.restart(1);
    pool.run(3 * ttl);
    CHECK_FALSE(pool.acts(1));
    CHECK(pool.owned(1) == 0);
    pool.start(2);
    CHECK(pool.run_until([&] { return pool.acts(1) && pool.acts(2); }, 2 * ttl));
}

TEST_CASE("an operator begins the pool anew without the other, which is a stranger then") {
    Pool pool(2);
    const auto before = pool.core(1).committed();
    CHECK(pool.begin_without(1, {2}).error().code == Errc::conflict);  // there is a leader
    pool.kill(2);
    const auto kept = pool.machines[2].disk;
    pool.run(2 * ttl);
    CHECK(pool.begin_without(1, {}).error().code == Errc::conflict);  // every other must be named
    REQUIRE(pool.begin_without(1, {2}).has_value());
    REQUIRE(pool.run_until([&] { return pool.acts(1); }, 2s));
    const auto& after = pool.core(1).committed();
    CHECK(after.pool_id == before.pool_id);
    CHECK(after.incarnation == before.incarnation + 1);
    CHECK(after.members.size() == 1);
    for (const auto& partition : before.partitions) {
        const auto* now = after.find(partition.id);
        if (!partition.holds(test_node(1))) continue;
        REQUIRE(now != nullptr);
        CHECK(now->owner == test_node(1));
        CHECK(now->in_sync == test_nodes({1}));
        CHECK(now->epoch > partition.epoch);
    }
    pool.start(2);
    CHECK(pool.run_until([&] { return !pool.machines[2].stranger.empty(); }, 5s));
    CHECK(pool.acts(1));
    // As a new node it joins.
    pool.kill(2);
    pool.add(2, 2).disk = {};
    pool.machines[2].disk.self = test_node(7);
    pool.start(2);
    CHECK(pool.run_until([&] { return pool.acts(2); }, 8s));
}

// ------------------------------------------------------------------ what nodes ask for

TEST_CASE("what a node asks for is carried out by whoever leads, and answered") {
    Pool pool(3);
    const int asks = pool.follower();
    const auto self = pool.core(asks).self();
    const PartitionState* mine = nullptr;
    for (const auto& partition : pool.core(asks).acting().partitions)
        if (partition.owner == self && partition.in_sync.size() == 2) mine = &partition;
    REQUIRE(mine != nullptr);
    const DropHolder drop{mine->id, mine->epoch, mine->in_sync.back()};
    const auto done = pool.propose(asks, drop);
    CHECK(pool.run_until([&] { return pool.machines[asks].answers.contains(done); }, 1s));
    CHECK_FALSE(pool.machines[asks].answers[done].has_value());
    const auto again = pool.propose(asks, drop);
    pool.run(1s);
    CHECK(pool.machines[asks].answers[again]->code == Errc::conflict);
    // Another node's business.
    const auto foreign = pool.propose(pool.leader(), drop);
    pool.run(1s);
    CHECK(pool.machines[pool.leader()].answers[foreign]->code == Errc::fenced);
}

TEST_CASE("without a leader the answer is that nobody knows") {
    Pool pool(3);
    const int asks = pool.follower();
    pool.split({asks});
    const auto request = pool.propose(asks, SetDraining{test_node(1)});
    pool.run(9s);
    CHECK_FALSE(pool.machines[asks].answers.contains(request));
    pool.run(2s);
    REQUIRE(pool.machines[asks].answers.contains(request));
    CHECK(pool.machines[asks].answers[request]->code == Errc::unknown);
}

TEST_CASE("another pool's messages are refused") {
    Pool pool(1);
    ControlEffects out;
    Header header;
    header.pool_id = "another";
    header.pool_incarnation = 1;
    header.from = test_node(5);
    header.incarnation = {1, 5};
    header.to = test_node(1);
    CHECK(pool.core(1).receive(header, StartJoin{{99}}, pool.now, out) == Refusal::other_pool);
    header.pool_id = pool.core(1).committed().pool_id;
    CHECK(pool.core(1).receive(header, Join{{99}, {}, {}}, pool.now, out) == Refusal::not_a_member);
    header.to = test_node(9);
    CHECK(pool.core(1).receive(header, StartJoin{{99}}, pool.now, out) == Refusal::wrong_node);
    header.to = test_node(1);
    header.from = test_node(1);
    CHECK(pool.core(1).receive(header, StartJoin{{99}}, pool.now, out) ==
          Refusal::stale_incarnation);
    CHECK(pool.core(1).status(pool.now).refused == 4);
    CHECK(pool.core(1).leads());
}

// ------------------------------------------------------------------ streams of the data plane

TEST_CASE("a stream's header is judged as a message of a member is") {
    Pool pool(3);
    const auto judged = [&](const Header& header) { return pool.core(2).judge(header, pool.now); };
    const auto good = pool.core(1).header(id_of(2));
    CHECK(good.name == "n1");
    CHECK(good.address == "n1:1");
    CHECK(good.incarnation == pool.core(1).incarnation());
    CHECK(judged(good) == Refusal::none);
    const auto changed = [&](auto change) {
        auto header = good;
        change(header);
        return judged(header);
    };
    CHECK(changed([](Header& h) { h.pool_id = "another"; }) == Refusal::other_pool);
    CHECK(changed([](Header& h) { h.pool_id.clear(); }) == Refusal::not_a_member);
    CHECK(changed([](Header& h) { h.pool_incarnation += 1; }) == Refusal::other_pool);
    CHECK(changed([](Header& h) { h.from = id_of(9); }) == Refusal::not_a_member);
    CHECK(changed([](Header& h) { h.to = id_of(3); }) == Refusal::wrong_node);
    CHECK(changed([](Header& h) { h.to.reset(); }) == Refusal::wrong_node);
    CHECK(changed([](Header& h) { h.incarnation.counter -= 1; }) == Refusal::stale_incarnation);
    CHECK(changed([](Header& h) { h.incarnation.random += 1; }) == Refusal::stale_incarnation);
    CHECK(changed([](Header& h) { h.incarnation.counter += 1; }) == Refusal::none);
    CHECK(changed([](Header& h) { h.from = id_of(2); }) == Refusal::stale_incarnation);
}

TEST_CASE("a node that restarted keeps streams while it is pending, its earlier start does not") {
    Pool pool(3);
    const int other = pool.follower();
    const int judge = pool.leader();
    const auto before = pool.core(other).header(id_of(judge));
    pool.restart(other);
    const auto judged = [&](const Header& header) {
        return pool.core(judge).judge(header, pool.now);
    };
    REQUIRE(pool.run_until([&] { return judged(before) == Refusal::stale_incarnation; }, 5s));
    CHECK_FALSE(pool.core(other).running());
    CHECK(judged(pool.core(other).header(id_of(judge))) == Refusal::none);
}

TEST_CASE("who is of no pool judges no stream good, and says of itself what its disk remembers") {
    Pool pool(3);
    const auto header = pool.core(1).header(id_of(4));
    auto& newcomer = pool.add(4, 3);
    newcomer.disk_hangs = true;
    pool.start(4);
    CHECK(pool.core(4).judge(header, pool.now) == Refusal::not_ready);
    pool.run(2s);
    CHECK(pool.core(4).incarnation().counter == 1);
    CHECK(pool.core(4).header(id_of(1)).incarnation == Incarnation{});
    CHECK(pool.core(4).header(id_of(1)).pool_id.empty());
}
