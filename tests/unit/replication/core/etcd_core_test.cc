#include "replication/core/etcd_core.h"

#include <doctest/doctest.h>

#include <chrono>

#include "replication/core/placement.h"
#include "tests/unit/replication/core/etcd_nodes.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

constexpr auto ttl = EtcdNodes::ttl;

NodeId id_of(int number) {
    return test_node(static_cast<std::uint8_t>(number));
}

struct Pool : EtcdNodes {
    explicit Pool(int count) { begin(count); }
};

bool renews(const EtcdTransaction& transaction) {
    return !transaction.puts.empty() && transaction.puts[0].key.kind == EtcdKey::Kind::lease;
}

bool changes_pool(const EtcdTransaction& transaction) {
    return !transaction.puts.empty() && transaction.puts[0].key.kind == EtcdKey::Kind::pool;
}

}  // namespace

TEST_CASE("a node without `expect` begins a pool, and acts") {
    Pool pool(1);
    CHECK(pool.state().control == PoolControl::etcd);
    CHECK(pool.owned(1) == open_partitions + 1);
    CHECK(pool.core(1).record().agreement.accepted.value->members.size() == 1);
    CHECK(pool.core(1).status(pool.now).phase == "member");
}

TEST_CASE("a pool that expects three begins with three") {
    EtcdNodes pool;
    for (int number = 1; number <= 3; ++number) pool.add(number, 3);
    pool.start(1);
    pool.start(2);
    pool.run(5s);
    CHECK(pool.etcd.pool() == nullptr);
    CHECK(pool.core(2).status(pool.now).waits_for == "1 more nodes of pool.expect");
    pool.start(3);
    CHECK(pool.run_until([&] { return pool.all_act(); }, 5s));
    CHECK(pool.state().members.size() == 3);
}

TEST_CASE("items of who waited once do not begin a pool") {
    EtcdNodes pool;
    for (int number = 1; number <= 2; ++number) pool.add(number, 2);
    pool.start(1);
    pool.run(2s);
    pool.kill(1);
    pool.run(1s);
    pool.start(2);
    pool.run(10s);
    CHECK(pool.etcd.pool() == nullptr);
}

TEST_CASE("a node joins, and owns its share") {
    Pool pool(1);
    pool.add(2);
    pool.start(2);
    CHECK(pool.run_until([&] { return pool.all_act(); }, 5s));
}

TEST_CASE("leases are renewed, and the value rests") {
    Pool pool(3);
    const auto version = pool.state().version;
    const auto lease = pool.etcd.changed(lease_key(id_of(1)));
    pool.run(30s);
    CHECK(pool.all_act());
    CHECK(pool.state().version == version);
    CHECK(pool.etcd.changed(lease_key(id_of(1))) > lease);
}

TEST_CASE("a dead node is evicted after a TTL, and its partitions go on") {
    Pool pool(3);
    pool.kill(2);
    pool.run(ttl - 2s);
    CHECK(pool.lives(2));
    CHECK(pool.run_until([&] { return !pool.lives(2); }, 4s));
    CHECK(pool.etcd.changed(lease_key(id_of(2))) == Revision{});
    for (const auto& partition : pool.state().partitions) CHECK(partition.owner != id_of(2));
}

TEST_CASE("what an evicted node has on its way comes to nothing") {
    Pool pool(2);
    pool.fate = [](int node, const EtcdTransaction& transaction) {
        return node == 2 && renews(transaction) ? Fate::late : Fate::carried_out;
    };
    const auto earlier = [&] { return pool.state().member(id_of(2))->incarnation.counter == 1; };
    REQUIRE(pool.run_until([&] { return !earlier(); }, ttl + 3s));
    pool.kill(2);
    pool.fate = [](int, const EtcdTransaction&) { return Fate::carried_out; };
    pool.carry_out_late();
    CHECK(pool.etcd.changed(lease_key(id_of(2))) == Revision{});
}

TEST_CASE("a frozen node does not act when it wakes, and starts anew") {
    Pool pool(2);
    const auto before = pool.core(2).incarnation();
    pool.machines.at(2).frozen = true;
    REQUIRE(pool.run_until([&] { return !pool.lives(2); }, ttl + 3s));
    pool.machines.at(2).frozen = false;
    CHECK_FALSE(pool.acts(2));
    CHECK(pool.run_until([&] { return pool.all_act(); }, 5s));
    CHECK(pool.core(2).incarnation().counter > before.counter);
}

TEST_CASE("a node that wakes evicts nobody for its own sleep") {
    Pool pool(3);
    for (auto& [number, machine] : pool.machines) machine.frozen = true;
    pool.run(3 * ttl);
    pool.machines.at(1).frozen = false;
    pool.run(5s);
    CHECK(pool.lives(2));
    for (auto& [number, machine] : pool.machines) machine.frozen = false;
    CHECK(pool.run_until([&] { return pool.all_act(); }, ttl + 2s));
    for (int number = 1; number <= 3; ++number) CHECK(pool.core(number).incarnation().counter == 1);
}

TEST_CASE("a renewal of unknown outcome grants nothing, and the next one does") {
    for (const auto befalls : {Fate::answer_lost, Fate::lost, Fate::late}) {
        Pool pool(2);
        int unknown = 0;
        pool.fate = [&](int node, const EtcdTransaction& transaction) {
            const bool hit = node == 2 && renews(transaction) && ++unknown % 2 == 1;
            return hit ? befalls : Fate::carried_out;
        };
        for (int second = 0; second < 20; ++second) {
            pool.run(1s);
            pool.carry_out_late();
        }
        CHECK(pool.acts(2));
        pool.fate = [&](int node, const EtcdTransaction& transaction) {
            return node == 2 && renews(transaction) ? befalls : Fate::carried_out;
        };
        pool.run(ttl);
        CHECK_FALSE(pool.acts(2));
    }
}

TEST_CASE("a change of unknown outcome is made once, and answered") {
    for (const auto befalls : {Fate::answer_lost, Fate::lost, Fate::late}) {
        Pool pool(2);
        bool hit = false;
        pool.fate = [&](int, const EtcdTransaction& transaction) {
            return changes_pool(transaction) && !std::exchange(hit, true) ? befalls
                                                                          : Fate::carried_out;
        };
        const auto version = pool.state().version;
        const auto request = pool.propose(1, SetDraining{id_of(2), true});
        pool.run(1s);
        pool.carry_out_late();
        pool.run(2s);
        REQUIRE(pool.machines.at(1).answers.contains(request));
        CHECK_FALSE(pool.machines.at(1).answers.at(request).has_value());
        CHECK(pool.state().member(id_of(2))->draining);
        CHECK(pool.state().version.value >= version.value + 1);
    }
}

TEST_CASE("only the live owner changes a partition") {
    Pool pool(2);
    const auto& partitions = pool.state().partitions;
    const auto found =
        std::find_if(partitions.begin(), partitions.end(), [](const PartitionState& partition) {
            return partition.owner == id_of(1) && partition.in_sync.size() == 2;
        });
    REQUIRE(found != partitions.end());
    const auto partition = *found;
    const HandOver hand{partition.id, partition.epoch, id_of(2)};
    const auto refused = pool.propose(2, hand);
    CHECK(pool.machines.at(2).answers.at(refused)->code == Errc::fenced);
    const auto done = pool.propose(1, hand);
    CHECK_FALSE(pool.machines.at(1).answers.at(done).has_value());
    CHECK(pool.state().find(partition.id)->owner == id_of(2));
    const auto late = pool.propose(2, hand);
    CHECK(pool.machines.at(2).answers.at(late)->code == Errc::conflict);
}

TEST_CASE("a restarted node waits for its earlier start to end") {
    Pool pool(3);
    pool.restart(2);
    pool.run(ttl - 3s);
    CHECK_FALSE(pool.acts(2));
    CHECK(pool.core(2).status(pool.now).phase == "waiting for its earlier start to end");
    CHECK(pool.run_until([&] { return pool.all_act(); }, 6s));
}

TEST_CASE("a node that comes back after it was evicted starts at once") {
    Pool pool(3);
    pool.kill(2);
    REQUIRE(pool.run_until([&] { return !pool.lives(2); }, ttl + 3s));
    pool.start(2);
    CHECK(pool.run_until([&] { return pool.all_act(); }, 3s));
}

TEST_CASE("all restart: the pool goes on without any that lives") {
    Pool pool(3);
    for (int number = 1; number <= 3; ++number) pool.kill(number);
    for (int number = 1; number <= 3; ++number) pool.start(number);
    CHECK(pool.run_until([&] { return pool.all_act(); }, ttl + 5s));
}

TEST_CASE("a sole member ends its own earlier start, which does not live") {
    Pool pool(1);
    pool.restart(1);
    CHECK(pool.run_until([&] { return pool.acts(1); }, 4s));
}

TEST_CASE("a node leaves, and what it held goes on elsewhere") {
    Pool pool(3);
    pool.leave(2);
    CHECK(pool.owned(2) == 0);
    CHECK(pool.run_until([&] { return pool.machines.at(2).left; }, 3s));
    CHECK_FALSE(pool.lives(2));
    CHECK(pool.etcd.changed(lease_key(id_of(2))) == Revision{});
    // Its solo partition is nobody else's.
    REQUIRE(pool.core(2).left_with().size() == 1);
    CHECK(pool.state().find(pool.core(2).left_with()[0])->solo);
}

TEST_CASE("who leaves without anything of its own is forgotten") {
    Pool pool(2);
    pool.add(3).copies = 2;
    pool.start(3);
    pool.leave(3);
    CHECK(pool.run_until([&] { return pool.machines.at(3).left; }, 3s));
    CHECK(pool.state().member(id_of(3)) == nullptr);
}

TEST_CASE("a node leaves while its earlier start lives still") {
    Pool pool(2);
    pool.restart(2);
    pool.leave(2);
    CHECK(pool.run_until([&] { return pool.machines.at(2).left; }, ttl + 3s));
}

TEST_CASE("an operator removes a node that is gone, not one that lives") {
    Pool pool(3);
    const auto refused = pool.propose(1, RemoveMember{id_of(2), Lost::accept});
    CHECK(pool.machines.at(1).answers.at(refused)->code == Errc::conflict);
    pool.kill(2);
    pool.run(ttl + 2s);
    const auto done = pool.propose(1, RemoveMember{id_of(2), Lost::accept});
    CHECK_FALSE(pool.machines.at(1).answers.at(done).has_value());
    CHECK(pool.state().member(id_of(2)) == nullptr);
}

TEST_CASE("nobody owns what it has not on its disk, or not acted on") {
    Pool pool(2);
    pool.machines.at(2).disk_hangs = true;
    pool.run(ttl);
    CHECK_FALSE(pool.acts(2));
    CHECK(pool.run_until([&] { return !pool.lives(2); }, 4s));
}

TEST_CASE("when all are cut off from etcd all stop, and nobody is evicted") {
    Pool pool(3);
    for (int number = 1; number <= 3; ++number) pool.cut(number);
    pool.run(ttl - 1s);
    for (int number = 1; number <= 3; ++number) CHECK(pool.acts(number));
    pool.run(2 * ttl);
    for (int number = 1; number <= 3; ++number) CHECK_FALSE(pool.acts(number));
    for (int number = 1; number <= 3; ++number) pool.mend(number);
    CHECK(pool.run_until([&] { return pool.all_act(); }, ttl + 2s));
    for (int number = 1; number <= 3; ++number) CHECK(pool.core(number).incarnation().counter == 1);
}

TEST_CASE("a node that is cut off stops before another one takes over") {
    Pool pool(3);
    pool.cut(2);
    REQUIRE(pool.run_until([&] { return !pool.acts(2); }, ttl));
    CHECK(pool.lives(2));
    CHECK(pool.run_until([&] { return !pool.lives(2); }, 4s));
    pool.mend(2);
    CHECK(pool.run_until([&] { return pool.all_act(); }, 5s));
}

TEST_CASE("a watch that was compacted is begun anew with what etcd holds") {
    Pool pool(3);
    pool.cut(2);
    pool.run(5s);
    pool.propose(1, SetDraining{id_of(3), true});
    pool.compact();
    pool.mend(2);
    pool.run(1s);
    CHECK(pool.core(2).committed().member(id_of(3))->draining);
    CHECK(pool.all_act());
}

// ------------------------------------------------------------------ strangers and lost histories

TEST_CASE("a copy of a node that lives is a stranger") {
    Pool pool(3);
    auto& copy = pool.add(9);
    copy.disk = pool.machines.at(2).disk;
    pool.start(9);
    pool.run(5s);
    CHECK(copy.stranger.find("another process") != std::string::npos);
    pool.kill(9);
    CHECK(pool.all_act());
}

TEST_CASE("a copy of a sole member that lives is a stranger") {
    Pool pool(1);
    auto& copy = pool.add(9);
    copy.disk = pool.machines.at(1).disk;
    pool.start(9);
    pool.run(5s);
    CHECK_FALSE(copy.stranger.empty());
    CHECK(pool.acts(1));
}

TEST_CASE("of two copies that start at once one goes on") {
    Pool pool(3);
    pool.kill(2);
    auto& copy = pool.add(9);
    copy.disk = pool.machines.at(2).disk;
    pool.start(2);
    pool.start(9);
    pool.run(ttl + 5s);
    CHECK(pool.machines.at(2).stranger.empty() != copy.stranger.empty());
}

TEST_CASE("a disk that went back is a stranger's") {
    Pool pool(3);
    const auto old = pool.machines.at(2).disk;
    pool.propose(1, SetDraining{id_of(3), true});
    pool.run(3s);
    pool.kill(2);
    pool.run(ttl + 3s);
    pool.machines.at(2).disk = old;
    pool.machines.at(2).disk.incarnation.counter += 5;
    pool.start(2);
    CHECK(pool.machines.at(2).stranger.find("remembers less") != std::string::npos);
}

TEST_CASE("etcd that went back is put right by who knows most, as a new incarnation") {
    Pool pool(3);
    const auto backup = pool.etcd.held();
    pool.propose(1, SetDraining{id_of(3), true});
    pool.run(3s);
    const auto version = pool.state().version;
    pool.restore(backup);
    CHECK(pool.run_until([&] { return pool.noticed(1, "pool_put_back"); }, ttl + 3s));
    CHECK(pool.run_until([&] { return pool.all_act(); }, 3s));
    CHECK(pool.state().incarnation == 2);
    CHECK(pool.state().version > version);
    CHECK(pool.state().member(id_of(3))->draining);
    CHECK(pool.core(2).record().pool_incarnation == 2);
    for (int number = 1; number <= 3; ++number) CHECK(pool.machines.at(number).stranger.empty());
}

TEST_CASE("who knows more than what was put back is a stranger") {
    Pool pool(3);
    const auto backup = pool.etcd.held();
    pool.propose(1, SetDraining{id_of(3), true});
    pool.run(1s);
    pool.cut(1);
    pool.run(2 * ttl);  // evicted: a value that 1 does not know
    pool.kill(2);
    pool.kill(3);
    pool.restore(backup);
    pool.mend(1);
    REQUIRE(pool.run_until([&] { return pool.noticed(1, "pool_put_back"); }, ttl + 3s));
    pool.start(2);
    pool.run(2s);
    CHECK(pool.machines.at(2).stranger.find("old state") != std::string::npos);
}

TEST_CASE("a node that knows only the old state does not act while others know more") {
    Pool pool(2);
    const auto backup = pool.etcd.held();
    pool.cut(1);
    pool.run(2 * ttl);  // 2 owns all
    CHECK_FALSE(pool.lives(1));
    pool.cut(2);
    pool.restore(backup);
    pool.mend(1);
    pool.run(5s);
    pool.mend(2);
    CHECK(pool.run_until(
        [&] {
            CHECK((pool.state().incarnation == 2 || !pool.acts(1)));
            return pool.all_act();
        },
        2 * ttl));
    CHECK(pool.state().incarnation == 2);
    CHECK(pool.machines.at(1).stranger.empty());
    CHECK(pool.machines.at(2).stranger.empty());
}

TEST_CASE("what is put back ends no start whose lease may last") {
    Pool pool(2);
    const auto backup = pool.etcd.held();
    pool.cut(1);
    pool.cut(2);
    pool.add(3);
    pool.start(3);
    pool.run(2 * ttl);  // 3 is all that lives
    REQUIRE(pool.acts(3));
    pool.cut(3);
    pool.restore(backup);
    pool.mend(1);
    pool.mend(2);
    REQUIRE(pool.run_until([&] { return pool.acts(1) && pool.acts(2); }, ttl + 3s));
    pool.mend(3);
    bool acted = true;
    CHECK(pool.run_until(
        [&] {
            if (pool.state().incarnation == 2) return true;
            acted = pool.acts(1) || pool.acts(2);
            return false;
        },
        3 * ttl));
    CHECK_FALSE(acted);
    CHECK(pool.run_until([&] { return pool.all_act(); }, ttl));
    CHECK(pool.state().members.size() == 3);
}

TEST_CASE("a backup that lost only leases changes nothing") {
    Pool pool(3);
    const auto backup = pool.etcd.held();
    pool.run(5s);
    pool.restore(backup);
    pool.run(3s);
    CHECK(pool.all_act());
    CHECK(pool.state().incarnation == 1);
}

TEST_CASE("an emptied etcd: nodes wait, and say so, until an operator begins anew") {
    Pool pool(3);
    pool.restore({});
    pool.run(2 * ttl);
    CHECK(pool.etcd.pool() == nullptr);
    for (int number = 1; number <= 3; ++number) {
        CHECK_FALSE(pool.acts(number));
        CHECK(pool.noticed(number, "etcd_pool_missed"));
    }
    CHECK(pool.core(1).status(pool.now).waits_for.find("emptied") != std::string::npos);
    CHECK(pool.begin_without(1, {2}).has_error());
    pool.kill(2);
    pool.kill(3);
    REQUIRE(pool.begin_without(1, {2, 3}).has_value());
    CHECK(pool.run_until([&] { return pool.acts(1); }, 5s));
    CHECK(pool.state().incarnation == 2);
    CHECK(pool.state().members.size() == 1);
    pool.start(2);
    pool.run(2s);
    CHECK(pool.machines.at(2).stranger == "the pool began anew without this node");
}

TEST_CASE("nobody begins anew while etcd holds the pool") {
    Pool pool(2);
    const auto begun = pool.begin_without(1, {2});
    REQUIRE(begun.has_error());
    CHECK(begun.error().code == Errc::conflict);
}

TEST_CASE("another pool under the prefix is not joined by who remembers one") {
    Pool pool(2);
    Pool other(1);
    pool.restore(other.etcd.held());
    pool.run(ttl);
    CHECK(pool.core(1).status(pool.now).waits_for.find("another one") != std::string::npos);
    CHECK_FALSE(pool.acts(1));
    CHECK(pool.begin_without(1, {2}).error().code == Errc::conflict);
}

TEST_CASE("peers are told apart by the value") {
    Pool pool(2);
    auto& core = pool.core(1);
    auto header = pool.core(2).header(core.self());
    CHECK(core.judge(header) == Refusal::none);
    header.to = id_of(7);
    CHECK(core.judge(header) == Refusal::wrong_node);
    header = pool.core(2).header(core.self());
    header.incarnation.random += 1;
    CHECK(core.judge(header) == Refusal::stale_incarnation);
    header = pool.core(2).header(core.self());
    header.pool_incarnation += 1;
    CHECK(core.judge(header) == Refusal::other_pool);
    header = pool.core(2).header(core.self());
    header.from = id_of(7);
    CHECK(core.judge(header) == Refusal::not_a_member);
}
