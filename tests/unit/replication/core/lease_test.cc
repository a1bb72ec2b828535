#include "replication/core/lease.h"

#include <doctest/doctest.h>

#include <chrono>

#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

const NodeId one = test_node(1);
const NodeId two = test_node(2);
const BootTime start{1h};
constexpr Duration ttl = 10s;

LeaseBook::Renewal renewal_of(std::uint8_t number, PoolVersion acted_on = {1}) {
    return {test_node(number), first_start(number), start, acted_on};
}

PoolState evicted(const PoolState& pool, std::uint8_t number) {
    auto next = changed(pool, Evict{{{test_node(number), first_start(number)}}, {}}).value();
    next.version.value += 1;
    return next;
}

PoolState next_version(PoolState pool) {
    pool.version.value += 1;
    return pool;
}

struct Leading {
    explicit Leading(std::size_t nodes = 2) : pool(pool_of(nodes)) { book.lead(pool, start); }

    // Was the renewal of node 1, which arrived at `arrived`, granted in its round at `now`?
    bool renewed(BootTime arrived, BootTime now, PoolVersion acted_on = {1}) {
        book.arrived(renewal_of(1, acted_on), round, arrived);
        return !book.confirmed(++round, pool, now).empty();
    }

    PoolState pool;
    LeaseBook book;
    std::uint64_t round = 0;
};

Published published_by(const std::vector<int>& committed, const std::vector<int>& configuration) {
    Published published;
    published.committed = {test_nodes(committed)};
    published.configuration = {test_nodes(configuration)};
    return published;
}

}  // namespace

// ------------------------------------------------------------------ the node's end

TEST_CASE("a lease counts from when the renewal was sent, less what clocks may drift") {
    Lease lease;
    lease.begin(first_start(1));
    CHECK_FALSE(lease.live(start, 0ms));
    CHECK(lease.granted(first_start(1), start, ttl));
    CHECK(lease.live(start + 9499ms, 0ms));
    CHECK_FALSE(lease.live(start + 9500ms, 0ms));
    CHECK(lease.live(start + 8999ms, 500ms));
    CHECK_FALSE(lease.live(start + 9s, 500ms));
    CHECK(lease.expires() == start + 9500ms);
}

TEST_CASE("the answer to an earlier renewal takes nothing back, and the next start ends it") {
    Lease lease;
    lease.begin({1, 7});
    CHECK(lease.granted({1, 7}, start + 2s, ttl));
    CHECK(lease.granted({1, 7}, start, ttl));
    CHECK(lease.expires() == start + 11500ms);
    lease.begin({2, 9});
    CHECK_FALSE(lease.live(start, 0ms));
    CHECK(lease.expires() == std::nullopt);
}

TEST_CASE("what was granted to another incarnation does not count") {
    Lease lease;
    lease.begin({2, 7});
    CHECK_FALSE(lease.granted({1, 7}, start, ttl));
    CHECK_FALSE(lease.granted({2, 8}, start, ttl));
    CHECK_FALSE(lease.expires());
}

TEST_CASE("without a lease a node acts while neither configuration decides without it") {
    Lease lease;
    const auto may = [&](const std::vector<int>& committed, const std::vector<int>& accepted) {
        return may_act(lease, published_by(committed, accepted), one, start, 0ms);
    };
    CHECK(may({1, 2}, {1, 2}));
    CHECK_FALSE(may({1, 2}, {1, 2, 3}));
    CHECK_FALSE(may({1, 2, 3}, {1, 2}));
    lease.begin({1, 7});
    CHECK(lease.granted({1, 7}, start, ttl));
    CHECK(may({1, 2, 3}, {1, 2, 3}));
}

TEST_CASE("who cannot be evicted: each configuration by itself decides nothing without it") {
    struct Row {
        std::vector<int> committed;
        std::vector<int> configuration;
        bool cannot;
    };
    const Row rows[] = {
        {{1}, {1}, true},
        {{1, 2}, {1, 2}, true},
        {{1, 2, 3}, {1, 2, 3}, false},
        {{2}, {2}, false},
        {{1, 2}, {1, 2, 3}, false},
        {{1, 2, 3}, {1, 2}, false},
        {{1, 2}, {1}, true},
        {{1}, {1, 2}, true},
        {{1, 2}, {2}, false},
        {{2, 3}, {2, 3}, false},
        {{}, {}, false},
    };
    for (const auto& row : rows) {
        CAPTURE(row.committed.size());
        CAPTURE(row.configuration.size());
        CHECK(cannot_be_evicted(published_by(row.committed, row.configuration), one) == row.cannot);
    }
}

// ------------------------------------------------------------------ what a node may act on

TEST_CASE("to stop an accepted value suffices, to start only a committed one counts") {
    const auto mine = with_partition(with_partition(pool_of(2), {1, 2}), {1});
    const auto acting = [](const PoolState& committed, const PoolState& accepted) {
        return acting_state(committed, accepted, one, first_start(1));
    };
    const PartitionId first{1};
    SUBCASE("nothing newer") {
        CHECK(acting(mine, mine) == mine);
    }
    SUBCASE("taken in what is accepted") {
        const auto handed = changed(mine, HandOver{first, {1}, two}).value();
        CHECK(acting(mine, handed).find(first)->owner == std::nullopt);
        CHECK(acting(mine, handed).find({2})->owner == one);
        CHECK(acting(handed, handed).find(first)->owner == two);
    }
    SUBCASE("given in what is accepted") {
        const auto handed = changed(mine, HandOver{first, {1}, two}).value();
        const auto back = changed(handed, HandOver{first, {2}, one}).value();
        CHECK(acting(handed, back).find(first)->owner == two);
        CHECK(acting(handed, with_partition(handed, {1})).find({3}) == nullptr);
    }
    SUBCASE("a partition that is gone in what is accepted") {
        auto closing = changed(mine, ClosePartition{first}).value();
        const auto gone = changed(closing, RetirePartition{first, {1}}).value();
        CHECK(acting(closing, gone).find(first)->owner == std::nullopt);
    }
    SUBCASE("its incarnation ends in what is accepted") {
        const auto ended = evicted(mine, 1);
        CHECK(acting(mine, ended).find(first)->owner == std::nullopt);
        CHECK(acting(mine, ended).find({2})->owner == std::nullopt);
    }
    SUBCASE("another start of the node owns nothing of what this one did") {
        const auto again =
            changed(mine, Evict{{{one, first_start(1)}}, {start_of(1, 2, "")}}).value();
        CHECK(acting(mine, again).find(first)->owner == std::nullopt);
        CHECK(acting(again, again).find(first)->owner == std::nullopt);
        CHECK(acting_state(again, again, one, {2, 1}).find(first)->owner == one);
    }
    SUBCASE("what others own stays theirs") {
        const auto theirs = with_partition(mine, {2, 1});
        CHECK(acting(theirs, evicted(theirs, 2)).find({3})->owner == two);
    }
}

// ------------------------------------------------------------------ the leader's end

TEST_CASE("a new leader gives every live incarnation a whole TTL, and the dead none") {
    LeaseBook book;
    CHECK_FALSE(book.leads());
    book.lead(evicted(pool_of(3), 3), start);
    CHECK(book.leads());
    CHECK(book.expires(one) == start + ttl);
    CHECK(book.expires(two) == start + ttl);
    CHECK(book.expires(test_node(3)) == std::nullopt);
    CHECK(book.lapsed(start + ttl - 1ms).empty());
    CHECK(book.lapsed(start + ttl) ==
          std::vector<Ended>{{one, first_start(1)}, {two, first_start(2)}});
}

TEST_CASE("a renewal waits for a round that began after it arrived") {
    Leading leading;
    leading.book.arrived(renewal_of(1), 7, start + 1s);
    CHECK(leading.book.confirmed(7, leading.pool, start + 2s).empty());
    const auto grants = leading.book.confirmed(8, leading.pool, start + 3s);
    REQUIRE(grants.size() == 1);
    CHECK(grants.front().renewal.node == one);
    CHECK(grants.front().renewal.sent == start);
    CHECK(grants.front().ttl == ttl);
    // Counted from the arrival, and once.
    CHECK(leading.book.expires(one) == start + 1s + ttl);
    CHECK(leading.book.expires(two) == start + ttl);
    CHECK(leading.book.confirmed(9, leading.pool, start + 4s).empty());
}

TEST_CASE("several renewals in one round are one, the newest") {
    Leading leading;
    leading.book.arrived(renewal_of(1), 0, start + 1s);
    leading.book.arrived(renewal_of(1), 0, start + 2s);
    leading.book.arrived(renewal_of(2), 0, start + 2s);
    CHECK(leading.book.confirmed(1, leading.pool, start + 3s).size() == 2);
    CHECK(leading.book.expires(one) == start + 2s + ttl);
}

TEST_CASE("who is not, or is not any more, the live incarnation is not renewed") {
    Leading leading;
    SUBCASE("another start") {
        leading.book.arrived({one, {2, 1}, start, {1}}, 0, start);
    }
    SUBCASE("a stranger") {
        leading.book.arrived({test_node(9), {1, 9}, start, {1}}, 0, start);
    }
    SUBCASE("its end was proposed, though not accepted yet") {
        leading.book.arrived(renewal_of(1), 0, start);
        leading.book.proposed(evicted(leading.pool, 1));
    }
    SUBCASE("its end was accepted, from whomever") {
        leading.book.arrived(renewal_of(1), 0, start);
        leading.pool = evicted(leading.pool, 1);
    }
    SUBCASE("its end was committed") {
        leading.book.arrived(renewal_of(1), 0, start);
        leading.book.committed(evicted(leading.pool, 1), start);
    }
    SUBCASE("the leader lost") {
        leading.book.arrived(renewal_of(1), 0, start);
        leading.book.stop();
        CHECK_FALSE(leading.book.leads());
    }
    SUBCASE("the leader lost and leads again, in rounds that begin anew") {
        leading.book.arrived(renewal_of(1), 0, start);
        leading.book.stop();
        leading.book.lead(leading.pool, start);
    }
    CHECK(leading.book.confirmed(1, leading.pool, start + 1s).empty());
}

TEST_CASE("one that does not lead takes no renewal") {
    LeaseBook book;
    book.arrived(renewal_of(1), 0, start);
    book.committed(pool_of(2), start);
    CHECK(book.expires(one) == std::nullopt);
    book.lead(pool_of(2), start);
    CHECK(book.confirmed(1, pool_of(2), start).empty());
}

TEST_CASE("a committed value ends leases and begins others") {
    Leading leading(2);
    auto next = evicted(leading.pool, 1);
    next = changed(next, start_of(3, 1, "")).value();
    leading.book.committed(next, start + 3s);
    CHECK(leading.book.expires(one) == std::nullopt);
    CHECK(leading.book.expires(two) == start + ttl);
    CHECK(leading.book.expires(test_node(3)) == start + 3s + ttl);
}

TEST_CASE("the next incarnation has a lease of its own, a whole one") {
    Leading leading(1);
    const auto again =
        changed(leading.pool, Evict{{{one, first_start(1)}}, {start_of(1, 2, "")}}).value();
    leading.book.proposed(again);
    leading.book.committed(again, start + 3s);
    CHECK(leading.book.expires(one) == start + 3s + ttl);
    leading.book.arrived({one, {2, 1}, start, again.version}, 0, start + 4s);
    CHECK(leading.book.confirmed(1, again, start + 5s).size() == 1);
}

TEST_CASE("who has not acted for a TTL on what was committed is refused") {
    Leading leading;
    leading.book.committed(next_version(leading.pool), start + 1s);                // 2
    leading.book.committed(next_version(next_version(leading.pool)), start + 5s);  // 3
    CHECK(leading.renewed(start + 6s, start + 6s, {1}));
    CHECK(leading.renewed(start + 10s, start + 1s + ttl - 1ms, {1}));
    CHECK_FALSE(leading.renewed(start + 11s, start + 1s + ttl, {1}));
    CHECK(leading.renewed(start + 11s, start + 1s + ttl, {2}));
    CHECK_FALSE(leading.renewed(start + 15s, start + 5s + ttl, {2}));
    CHECK(leading.renewed(start + 15s, start + 5s + ttl, {3}));
}

TEST_CASE("old versions are forgotten, and whoever lags behind them is still refused") {
    Leading leading;
    auto pool = leading.pool;
    for (int i = 1; i <= 50; ++i) {
        pool = next_version(pool);
        leading.book.committed(pool, start + i * 1s);
    }
    CHECK_FALSE(leading.renewed(start + 50s, start + 50s, {2}));
    CHECK_FALSE(leading.renewed(start + 50s, start + 50s, {40}));
    CHECK(leading.renewed(start + 50s, start + 50s, {41}));
}
