#include "replication/core/control_move.h"

#include <doctest/doctest.h>

#include "tests/unit/replication/core/control_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

PoolState on_etcd(std::size_t nodes) {
    auto pool = first_on_etcd(pool_of(nodes));
    pool.control = PoolControl::embedded;  // its last value there
    return pool;
}

}  // namespace

TEST_CASE("the first value on etcd is beyond what other leaders could still publish") {
    const auto before = pool_of(3);
    const auto first = first_on_etcd(before);
    CHECK(first.control == PoolControl::etcd);
    CHECK(first.version.value > before.version.value + 100);
    CHECK(first.members == before.members);
    CHECK(went_to_etcd(before, first));
}

TEST_CASE("what lies on etcd is followed only when it goes on from what is known") {
    const auto known = pool_of(3);
    struct Row {
        const char* what;
        PoolState there;
        bool goes_on;
    };
    const auto first = first_on_etcd(known);
    auto back = first;
    back.control = PoolControl::embedded;
    auto older = first;
    older.version = known.version;
    auto other = first;
    other.pool_id = "another";
    auto earlier = first;
    earlier.incarnation = 0;
    auto later = first;
    later.incarnation += 1;
    const Row rows[] = {{"the same pool, later", first, true},
                        {"it has left again", back, false},
                        {"of before an earlier move", older, false},
                        {"another pool", other, false},
                        {"an earlier incarnation of it", earlier, false},
                        {"a later incarnation of it", later, true}};
    for (const auto& row : rows) {
        CAPTURE(row.what);
        CHECK(went_to_etcd(known, row.there) == row.goes_on);
    }
}

TEST_CASE("every member finds the same voters, in a term beyond all before") {
    for (const auto nodes : {1u, 2u, 3u, 5u, 9u}) {
        const auto last = std::make_shared<const PoolState>(on_etcd(nodes));
        Durable seldom_elected;
        seldom_elected.current_term = {3};
        Durable often_elected;
        often_elected.current_term = {90'000};
        const auto one = agreement_after_etcd(last, seldom_elected);
        const auto other = agreement_after_etcd(last, often_elected);
        CHECK(one == other);
        CHECK(one.accepted.term > often_elected.current_term);
        CHECK(one.current_term == one.accepted.term);
        CHECK(one.accepted.configuration.voters.size() ==
              std::min<std::size_t>(nodes, nodes >= 7 ? 5 : 3));
        CHECK(one.accepted.configuration == one.accepted.committed);
        CHECK(one.accepted.value == last);
    }
}

TEST_CASE("a pool that comes from etcd elects a leader, and nobody stops meanwhile") {
    ControlPool pool;
    const auto last = [&] {
        auto state = on_etcd(3);
        state.settings.lease_ttl = ControlPool::ttl;
        for (std::uint8_t owner = 1; owner <= 3; ++owner)
            state = changed(state, OpenPartition{{test_node(owner)}, false}).value();
        return std::make_shared<const PoolState>(state);
    }();
    for (int number = 1; number <= 3; ++number) {
        auto& machine = pool.add(number, 3);
        machine.disk.incarnation = first_start(static_cast<std::uint8_t>(number));
        machine.disk.pool_id = last->pool_id;
        machine.disk.pool_incarnation = last->incarnation;
        machine.disk.agreement = agreement_after_etcd(last, {});
        Lease lease;
        lease.begin(machine.disk.incarnation);
        REQUIRE(lease.granted(machine.disk.incarnation, pool.now, ControlPool::ttl));
        pool.go_on(number, lease);
        CHECK(pool.core(number).running());
        CHECK(pool.core(number).acting() == *last);
    }
    const auto owns_and_may = [&](int number) {
        const auto& core = pool.core(number);
        const auto node = test_node(static_cast<std::uint8_t>(number));
        const auto& partitions = core.acting().partitions;
        return core.lease_live(pool.now, drift_margin(ControlPool::ttl)) &&
               std::any_of(partitions.begin(), partitions.end(),
                           [&](const auto& partition) { return partition.owner == node; });
    };
    for (const auto end = pool.now + 3 * ControlPool::ttl; pool.now < end;) {
        pool.run(100ms);
        for (int number = 1; number <= 3; ++number) CHECK(owns_and_may(number));
    }
    CHECK(pool.core(1).committed().version > last->version);
    for (int number = 1; number <= 3; ++number)
        CHECK(pool.core(number).incarnation() == first_start(static_cast<std::uint8_t>(number)));
}

TEST_CASE("a pool that goes to etcd: all hear of it, and nobody acts longer here than its lease") {
    int nodes = 1;
    SUBCASE("one") {}
    SUBCASE("two, of whom neither can be evicted here") {
        nodes = 2;
    }
    SUBCASE("three") {
        nodes = 3;
    }
    ControlPool pool;
    const auto expect = static_cast<std::uint32_t>(nodes > 1 ? nodes : 0);
    for (int number = 1; number <= nodes; ++number) pool.add(number, expect);
    for (int number = 1; number <= nodes; ++number) pool.start(number);
    const auto all = [&](const auto& holds) {
        for (int number = 1; number <= nodes; ++number)
            if (!holds(number)) return false;
        return true;
    };
    REQUIRE(pool.run_until([&] { return all([&](int n) { return pool.acts(n); }); }, 10s));
    pool.run(2s);  // leases are given
    const auto request = pool.propose(1, SetControl{PoolControl::etcd});
    REQUIRE(pool.run_until([&] { return pool.machines[1].answers.contains(request); }, 2s));
    CHECK_FALSE(pool.machines[1].answers[request]);
    CHECK(pool.run_until(
        [&] {
            return all([&](int n) {
                return pool.core(n).committed().control == PoolControl::etcd && pool.acts(n);
            });
        },
        1s));
    pool.run(ControlPool::ttl);
    CHECK(all([&](int n) { return !pool.acts(n); }));
}
