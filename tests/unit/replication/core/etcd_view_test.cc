#include "replication/core/etcd_view.h"

#include <doctest/doctest.h>

#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

// A node that watches a pool of two.
struct Watcher {
    BootTime now{1h};
    EtcdView view;
    PoolState pool = pool_of(2);
    std::int64_t revision = 5;

    Watcher() {
        pool.settings.lease_ttl = 10s;
        CHECK(view.take({{revision},
                         {{pool_key(), {1}, EtcdPool{pool, {1}}},
                          {lease_key(test_node(1)), {4}, lease(1, 0)},
                          {waiting_key(test_node(3)), {5}, EtcdWaiting{}}}},
                        {}, now));
        view.watching(now);
        view.expect(pool, now);
    }
    static EtcdLease lease(std::uint8_t node, std::uint64_t beat) {
        return {first_start(node), {1}, 1, beat};
    }
    void put(const EtcdKey& key, EtcdItem item) {
        ++revision;
        view.take(EtcdChanges{{revision}, {{key, {revision}, std::move(item)}}, {}}, now);
        view.expect(pool, now);
    }
    void renew(std::uint8_t node, std::uint64_t beat) {
        put(lease_key(test_node(node)), lease(node, beat));
    }
    // Somebody else is heard.
    void pass(Duration time) {
        for (const auto end = now + time; now < end;) {
            now += 500ms;
            put(waiting_key(test_node(9)), EtcdWaiting{});
        }
    }
    Duration age(std::uint8_t node) { return *view.lease_age(test_node(node), now); }
};

}  // namespace

TEST_CASE("view: a lease is as old as its item is unchanged, or not there") {
    Watcher watcher;
    watcher.pass(4s);
    CHECK(watcher.age(1) == 4s);
    CHECK(watcher.age(2) == 4s);
    watcher.renew(1, 0);
    CHECK(watcher.age(1) == 0s);
    CHECK(watcher.age(2) == 4s);
    CHECK_FALSE(watcher.view.lease_age(test_node(3), watcher.now).has_value());
    CHECK(watcher.view.changed(lease_key(test_node(1))) == Revision{watcher.revision});
    CHECK(watcher.view.changed(lease_key(test_node(2))) == Revision{});
}

TEST_CASE("view: another incarnation's age begins anew") {
    Watcher watcher;
    watcher.pass(4s);
    watcher.pool.members[0].incarnation.counter = 2;
    watcher.pool.members[1].incarnation.counter = 2;
    watcher.view.expect(watcher.pool, watcher.now);
    CHECK(watcher.age(1) == 0s);
    CHECK(watcher.age(2) == 0s);
}

TEST_CASE("view: a deleted lease is missing from then on") {
    Watcher watcher;
    watcher.pass(4s);
    watcher.view.take(EtcdChanges{{++watcher.revision}, {}, {lease_key(test_node(1))}},
                      watcher.now);
    watcher.view.expect(watcher.pool, watcher.now);
    CHECK(watcher.age(1) == 0s);
    CHECK(watcher.view.lease(test_node(1)) == nullptr);
}

TEST_CASE("view: whoever heard nothing for long counts anew") {
    Watcher watcher;
    watcher.pass(4s);
    watcher.now += watcher.view.gap() + 1ms;
    watcher.put(waiting_key(test_node(9)), EtcdWaiting{});
    CHECK(watcher.age(1) == 0s);
    CHECK(watcher.age(2) == 0s);
}

TEST_CASE("view: a short gap with an unchanged item goes on counting") {
    Watcher watcher;
    watcher.pass(4s);
    watcher.view.lost();
    watcher.now += 500ms;
    CHECK(watcher.view.take({{watcher.revision},
                             {{pool_key(), {1}, EtcdPool{watcher.pool, {1}}},
                              {lease_key(test_node(1)), {4}, Watcher::lease(1, 0)}}},
                            {watcher.revision}, watcher.now));
    watcher.view.expect(watcher.pool, watcher.now);
    CHECK(watcher.age(1) == 4500ms);
    CHECK(watcher.age(2) == 4500ms);
}

TEST_CASE("view: an etcd that went back is told by its revision, and counts anew") {
    Watcher watcher;
    watcher.pass(4s);
    CHECK_FALSE(watcher.view.take({{3}, {}}, {watcher.revision}, watcher.now));
    CHECK_FALSE(watcher.view.watched());
    CHECK(watcher.view.find(pool_key()) == nullptr);
}

TEST_CASE("view: an answer that the watch has overtaken changes nothing") {
    Watcher watcher;
    watcher.renew(1, 0);
    CHECK(watcher.view.take({{5}, {}}, {5}, watcher.now));
    CHECK(watcher.view.lease(test_node(1)) != nullptr);
}

TEST_CASE("view: changes that were read already are left out") {
    Watcher watcher;
    watcher.view.take(EtcdChanges{{5}, {}, {lease_key(test_node(1))}}, watcher.now);
    CHECK(watcher.view.lease(test_node(1)) != nullptr);
}

TEST_CASE("view: who waits is seen to write") {
    Watcher watcher;
    CHECK(watcher.view.waiting(test_node(3), watcher.now) == nullptr);
    watcher.put(waiting_key(test_node(3)), EtcdWaiting{first_start(3), {}, {}, 2});
    CHECK(watcher.view.waiting(test_node(3), watcher.now) != nullptr);
    watcher.pass(4s);
    CHECK(watcher.view.waiting(test_node(3), watcher.now) == nullptr);
}

TEST_CASE("view: settled after a TTL of one watch") {
    Watcher watcher;
    watcher.pass(9s);
    CHECK_FALSE(watcher.view.settled(watcher.now));
    watcher.pass(1s);
    CHECK(watcher.view.settled(watcher.now));
    CHECK_FALSE(watcher.view.settled(watcher.now + watcher.view.gap() + 1ms));
    watcher.view.lost();
    watcher.view.watching(watcher.now);
    CHECK_FALSE(watcher.view.settled(watcher.now));
}

TEST_CASE("view: settled by the word of who knows") {
    Watcher watcher;
    watcher.renew(1, 0);
    CHECK_FALSE(watcher.view.settled(watcher.now));
    watcher.renew(1, 1);
    CHECK(watcher.view.settled(watcher.now));
    watcher.now += watcher.view.gap() + 1ms;
    watcher.renew(1, 0);
    CHECK_FALSE(watcher.view.settled(watcher.now));
}

TEST_CASE("view: settled where the pool begins before its eyes") {
    EtcdView view;
    const BootTime now{1h};
    CHECK(view.take({{5}, {}}, {}, now));
    view.watching(now);
    CHECK(view.settled(now));
}
