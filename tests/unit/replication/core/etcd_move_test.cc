// A pool comes to etcd, and leaves it: core/control_move.h, from the side of etcd.
#include <doctest/doctest.h>

#include <algorithm>

#include "replication/core/control_move.h"
#include "tests/unit/replication/core/etcd_nodes.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

constexpr auto ttl = EtcdNodes::ttl;

// The last value of a pool of three under the embedded control plane; each owns a partition.
PoolState last_embedded() {
    auto pool = pool_of(3);
    pool.settings.lease_ttl = ttl;
    for (std::uint8_t owner = 1; owner <= 3; ++owner)
        pool = changed(pool, OpenPartition{{test_node(owner)}, false}).value();
    pool = changed(pool, SetControl{PoolControl::etcd}).value();
    pool.version = {40};
    return pool;
}

// Nodes that remember a value of the embedded control plane.
struct Moving : EtcdNodes {
    explicit Moving(const PoolState& known = last_embedded()) {
        const auto value = std::make_shared<const PoolState>(known);
        for (int number = 1; number <= 3; ++number) {
            auto& disk = add(number).disk;
            disk.incarnation = first_start(static_cast<std::uint8_t>(number));
            disk.pool_id = known.pool_id;
            disk.pool_incarnation = known.incarnation;
            disk.agreement.current_term = {4};
            disk.agreement.accepted = {{4}, known.version, value, {}, {}};
            disk.agreement.accepted.configuration.voters = test_nodes({1, 2, 3});
            disk.agreement.accepted.committed = disk.agreement.accepted.configuration;
        }
    }
    // With a lease that was given just now.
    void come(int number) {
        Lease lease;
        lease.begin(machines.at(number).disk.incarnation);
        REQUIRE(lease.granted(machines.at(number).disk.incarnation, now, ttl));
        go_on(number, lease);
    }
    bool as_before(int number) {
        return acts(number) && owned(number) > 0 &&
               core(number).incarnation() == first_start(static_cast<std::uint8_t>(number));
    }
};

bool same(const Durable& one, const Durable& other) {
    return one.current_term == other.current_term && one.accepted.term == other.accepted.term &&
           one.accepted.version == other.accepted.version &&
           *one.accepted.value == *other.accepted.value &&
           one.accepted.configuration == other.accepted.configuration &&
           one.accepted.committed == other.accepted.committed;
}

}  // namespace

TEST_CASE("a pool comes to etcd with its incarnations, and nobody stops") {
    Moving pool;
    for (int number = 1; number <= 3; ++number) pool.come(number);
    for (const auto end = pool.now + 3 * ttl; pool.now < end; pool.run(100ms)) {
        for (int number = 1; number <= 3; ++number) CHECK(pool.as_before(number));
    }
    CHECK(pool.state().control == PoolControl::etcd);
    CHECK(pool.state().version.value > last_embedded().version.value + versions_skipped / 2);
    for (const auto& partition : last_embedded().partitions) {
        REQUIRE(pool.state().find(partition.id) != nullptr);
        CHECK(pool.state().find(partition.id)->owner == partition.owner);
    }
}

TEST_CASE("while its pool is on its way to etcd a node renews nothing") {
    const Moving pool;
    const auto now = pool.now;
    const auto& disk = pool.machines.at(1).disk;
    EtcdCore core(disk, {.pool = {.lease_ttl = ttl}}, [] { return 7u; });
    Lease lease;
    lease.begin(disk.incarnation);
    REQUIRE(lease.granted(disk.incarnation, now, ttl));
    EtcdEffects out;
    core.go_on(lease, now, out);
    core.acted_on(core.acting().version);
    core.read({Revision{3}, {}}, now, out);
    REQUIRE(out.transactions.size() == 1);  // the first value there
    core.tick(now + 1s, out);
    REQUIRE(out.probe);
    core.probed(now + 1s, out);
    CHECK(out.transactions.size() == 1);
    CHECK(core.lease_live(now + 1s, {}));
}

TEST_CASE("who does not follow within its lease is evicted, and comes as another incarnation") {
    Moving pool;
    pool.come(1);
    pool.come(2);
    CHECK(pool.run_until([&] { return !pool.lives(3); }, ttl + 3s));
    CHECK(pool.as_before(1));
    CHECK(pool.as_before(2));
    pool.go_on(3, {});  // its lease has ended long ago
    CHECK_FALSE(pool.acts(3));
    CHECK(pool.run_until([&] { return pool.all_act(); }, 5s));
    CHECK(pool.core(3).incarnation().counter == 2);
}

TEST_CASE("a pool comes back to an etcd that holds its value of before it left") {
    Moving pool;
    auto left = last_embedded();
    left.control = PoolControl::embedded;
    left.version = {12};
    pool.etcd.put(pool_key(), EtcdPool{left, {7}});
    for (int number = 1; number <= 3; ++number) pool.come(number);
    pool.run(2 * ttl);
    for (int number = 1; number <= 3; ++number) CHECK(pool.as_before(number));
    CHECK(pool.state().control == PoolControl::etcd);
}

TEST_CASE("what another pool holds on etcd is left alone, and said") {
    Moving pool;
    auto other = last_embedded();
    other.pool_id = "another";
    pool.etcd.put(pool_key(), EtcdPool{other, {7}});
    for (int number = 1; number <= 3; ++number) pool.come(number);
    pool.run(2 * ttl);
    CHECK(pool.state() == other);
    CHECK_FALSE(pool.acts(1));
    CHECK(pool.core(1).status(pool.now).waits_for.find("another one") != std::string::npos);
}

TEST_CASE("who does not know that the pool moves brings nothing to etcd, and follows") {
    auto earlier = last_embedded();
    earlier.control = PoolControl::embedded;
    earlier.version = {39};
    Moving pool(earlier);
    pool.come(1);
    pool.run(5s);
    CHECK(pool.etcd.changed(pool_key()) == Revision{});
    pool.etcd.put(pool_key(), EtcdPool{first_on_etcd(last_embedded()), {7}});
    pool.run(1s);
    CHECK(pool.as_before(1));
}

TEST_CASE("a pool leaves etcd: all remember the same, and no lease is renewed any more") {
    EtcdNodes pool;
    pool.begin(3);
    const auto before = pool.state();
    const auto request = pool.propose(2, SetControl{PoolControl::embedded});
    pool.run(1s);
    REQUIRE(pool.machines[2].answers.contains(request));
    CHECK_FALSE(pool.machines[2].answers[request]);
    const auto& agreement = pool.core(1).record().agreement;
    CHECK(agreement.accepted.value->partitions == before.partitions);
    CHECK(agreement.accepted.configuration.voters == test_nodes({1, 2, 3}));
    for (int number = 1; number <= 3; ++number) {
        CAPTURE(number);
        CHECK(pool.core(number).gone_to() == PoolControl::embedded);
        CHECK(pool.machines[number].disk == pool.core(number).record());
        CHECK(same(pool.core(number).record().agreement, agreement));
        CHECK(pool.core(number).record().marks.empty());
        CHECK(pool.acts(number));
    }
    CHECK(pool.etcd.held().items.size() == 1);  // the last value
    const auto revision = pool.etcd.held().revision;
    pool.run(ttl);
    CHECK(pool.etcd.held().revision == revision);
    for (int number = 1; number <= 3; ++number) CHECK_FALSE(pool.acts(number));
}

TEST_CASE("who was away when its pool left etcd hears of it there") {
    EtcdNodes pool;
    pool.begin(3);
    pool.kill(3);
    pool.propose(1, SetControl{PoolControl::embedded});
    pool.run(1s);
    pool.start(3);
    pool.run(1s);
    CHECK(pool.core(3).gone_to() == PoolControl::embedded);
    CHECK(same(pool.core(3).record().agreement, pool.core(1).record().agreement));
    CHECK_FALSE(pool.acts(3));
    // A new one is told what to do.
    pool.add(4);
    pool.start(4);
    pool.run(1s);
    CHECK(pool.core(4).gone_to() == std::nullopt);
    CHECK(pool.core(4).status(pool.now).waits_for.find("pool.control") != std::string::npos);
}

TEST_CASE("a pool that nobody can reach etcd from stays there") {
    EtcdNodes pool;
    pool.begin(2);
    pool.cut(1);
    const auto request = pool.propose(1, SetControl{PoolControl::embedded});
    pool.run(11s);
    REQUIRE(pool.machines[1].answers.contains(request));
    CHECK(pool.machines[1].answers[request].has_value());
    pool.mend(1);
    pool.run(1s);
    CHECK(pool.state().control == PoolControl::etcd);
}
