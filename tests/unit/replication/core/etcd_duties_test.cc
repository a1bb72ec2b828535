#include "replication/core/etcd_duties.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

// A pool of so many as its first node sees it: all but it are silent unless they renew.
struct Seen {
    BootTime now{1h};
    PoolState pool;
    EtcdView view;
    std::int64_t revision = 1;

    explicit Seen(std::size_t nodes) : pool(pool_of(nodes)) {
        pool.settings.lease_ttl = 10s;
        EtcdSnapshot snapshot{{revision}, {{pool_key(), {1}, EtcdPool{pool, {1}}}}};
        view.take(snapshot, {}, now);
        view.watching(now);
        view.expect(pool, now);
    }
    void put(const EtcdKey& key, EtcdItem item) {
        ++revision;
        view.take(EtcdChanges{{revision}, {{key, {revision}, std::move(item)}}, {}}, now);
    }
    void renew(std::uint8_t node) {
        const auto incarnation = pool.member(test_node(node))->incarnation;
        put(lease_key(test_node(node)), EtcdLease{incarnation, {7}, 1, 1});
    }
    void wait(std::uint8_t node, std::uint64_t counter, PoolVersion known = {9}) {
        const auto start = start_of(node, counter, {});
        put(waiting_key(test_node(node)),
            EtcdWaiting{start.incarnation, start.facts, known, counter});
    }
    void pass(Duration time, const std::vector<std::uint8_t>& renewing) {
        for (const auto end = now + time; now < end;) {
            now += 500ms;
            for (const auto node : renewing) renew(node);
        }
    }
    static EtcdDuties::Self self(std::uint8_t node) {
        const auto start = start_of(node, 1, {});
        return {start.node, start.incarnation, start.facts, true, false};
    }
    EtcdNext shared(std::uint8_t node) {
        EtcdNext next{pool, {}, {}};
        EtcdDuties(2).share(next, self(node), view, now);
        return next;
    }
};

bool compares(const EtcdNext& next, const EtcdKey& key, Revision changed) {
    return std::any_of(next.when.begin(), next.when.end(), [&](const EtcdCompare& compare) {
        return compare.key == key && compare.changed == changed;
    });
}

bool deletes(const EtcdNext& next, const EtcdKey& key) {
    return std::find(next.deletes.begin(), next.deletes.end(), key) != next.deletes.end();
}

}  // namespace

TEST_CASE("duties: who lapsed is evicted, comparing what was seen of its lease") {
    Seen seen(3);
    seen.renew(2);
    const auto changed = seen.view.changed(lease_key(test_node(2)));
    seen.pass(9s, {1});
    CHECK(seen.shared(1).when.empty());
    seen.pass(1s, {1});
    const auto next = seen.shared(1);
    CHECK_FALSE(next.state.is_live(test_node(2)));
    CHECK_FALSE(next.state.is_live(test_node(3)));
    CHECK(compares(next, lease_key(test_node(2)), changed));
    CHECK(compares(next, lease_key(test_node(3)), Revision{}));
    CHECK(deletes(next, lease_key(test_node(2))));
}

TEST_CASE("duties: a waiting start begins in the value that ends the one before") {
    Seen seen(2);
    seen.pass(10s, {1});
    seen.wait(2, 2);
    const auto next = seen.shared(1);
    CHECK(next.state.is_live(test_node(2), {2, 2}));
    CHECK(deletes(next, waiting_key(test_node(2))));
}

TEST_CASE("duties: a start with less on its disk than the pool knows is not begun") {
    Seen seen(2);
    seen.pool.members[1].acknowledged.version = {8};
    seen.pass(10s, {1});
    seen.wait(2, 2, {7});
    CHECK_FALSE(seen.shared(1).state.is_live(test_node(2)));
}

TEST_CASE("duties: who says that it waits to renew is there") {
    Seen seen(2);
    seen.pass(10s, {1});
    seen.wait(2, 1);
    CHECK(seen.shared(1).state.is_live(test_node(2), first_start(2)));
    seen.pass(4s, {1});
    CHECK_FALSE(seen.shared(1).state.is_live(test_node(2)));
}

TEST_CASE("duties: the first acts at once, the next after its turn") {
    Seen seen(3);
    EtcdDuties first(2);
    EtcdDuties second(2);
    seen.pass(9500ms, {1, 2});
    auto next = seen.shared(1);  // what is due already
    next.state.version.value += 1;
    seen.pool = next.state;
    CHECK_FALSE(first.turn(seen.pool, Seen::self(1), seen.view, seen.now));
    CHECK_FALSE(second.turn(seen.pool, Seen::self(2), seen.view, seen.now));
    seen.pass(500ms, {1, 2});
    CHECK(first.turn(seen.pool, Seen::self(1), seen.view, seen.now));
    CHECK_FALSE(second.turn(seen.pool, Seen::self(2), seen.view, seen.now));
    CHECK(second.turn(seen.pool, Seen::self(2), seen.view, seen.now + 300ms));
}

TEST_CASE("duties: the wished copies are those of the first") {
    Seen seen(2);
    seen.renew(1);
    seen.renew(2);
    EtcdNext next{seen.pool, {}, {}};
    EtcdDuties(3).share(next, Seen::self(2), seen.view, seen.now);
    CHECK(next.state.settings.copies == 2);
    next = {seen.pool, {}, {}};
    EtcdDuties(3).share(next, Seen::self(1), seen.view, seen.now);
    CHECK(next.state.settings.copies == 3);
}

TEST_CASE("duties: a sole member's own earlier start only must not be seen to live") {
    Seen seen(1);
    auto self = Seen::self(1);
    self.incarnation = {2, 1};
    self.lease_live = false;
    self.starts = true;
    CHECK_FALSE(EtcdDuties::may_start(seen.pool, self));
    seen.renew(1);
    seen.now += away_after(10s);
    EtcdNext next{seen.pool, {}, {}};
    EtcdDuties(2).share(next, self, seen.view, seen.now);
    CHECK(next.state.is_live(test_node(1), {2, 1}));
}

TEST_CASE("duties: starting and leaving take the node's items along") {
    Seen seen(2);
    seen.renew(2);
    EtcdNext next{seen.pool, {}, {}};
    EtcdDuties::leave(next, Seen::self(2), seen.view);
    CHECK(next.state.member(test_node(2)) == nullptr);
    CHECK(deletes(next, lease_key(test_node(2))));
    auto self = Seen::self(3);
    self.starts = true;
    REQUIRE(EtcdDuties::may_start(seen.pool, self));
    next = {seen.pool, {}, {}};
    EtcdDuties::start(next, self, seen.view);
    CHECK(next.state.is_live(test_node(3)));
    CHECK(compares(next, lease_key(test_node(3)), Revision{}));
    CHECK(deletes(next, waiting_key(test_node(3))));
}

TEST_CASE("duties: a value says what is known to be on the disks") {
    Seen seen(2);
    seen.renew(2);
    EtcdNext next{seen.pool, {}, {}};
    EtcdDuties::acknowledge(next, seen.view);
    CHECK(next.state.members[1].acknowledged.version == PoolVersion{7});
    CHECK(next.state.members[0].acknowledged.version == PoolVersion{});
}

TEST_CASE("duties: what nobody needs any more goes with the next value") {
    Seen seen(2);
    seen.wait(7, 1);
    seen.wait(8, 1);
    seen.put(lease_key(test_node(9)), EtcdLease{});
    seen.pass(61s, {1, 2});
    seen.wait(8, 1);
    EtcdNext next{seen.pool, {}, {}};
    next.state.control = PoolControl::etcd;
    EtcdDuties::tidy(next, seen.view, seen.now);
    CHECK(next.deletes == std::vector{lease_key(test_node(9)), waiting_key(test_node(7))});
    // Of a pool that goes back to its members, its last value is all that stays.
    EtcdNext last{seen.pool, {}, {}};
    EtcdDuties::tidy(last, seen.view, seen.now);
    CHECK(last.deletes.size() == 5);
}
