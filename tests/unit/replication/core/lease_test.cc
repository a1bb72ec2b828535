#include "replication/core/lease.h"

#include <doctest/doctest.h>

#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace std::chrono_literals;
using tests::test_node;

namespace {

const BootTime start{1h};

Published voters_are(const std::vector<int>& committed, const std::vector<int>& accepted) {
    return {.configuration = {tests::test_nodes(accepted)},
            .committed = {tests::test_nodes(committed)}};
}

TEST_CASE("a lease counts from when the renewal was sent, less the drift margin") {
    Lease lease;
    lease.begin({1, 7});
    CHECK_FALSE(lease.live(start, 0ms));
    CHECK(lease.granted({1, 7}, start, 10s));
    CHECK(lease.live(start + 9499ms, 0ms));
    CHECK_FALSE(lease.live(start + 9500ms, 0ms));
    CHECK_FALSE(lease.live(start + 9400ms, 100ms));
}

TEST_CASE("a late grant of an earlier renewal takes nothing away") {
    Lease lease;
    lease.begin({1, 7});
    CHECK(lease.granted({1, 7}, start + 1s, 10s));
    CHECK(lease.granted({1, 7}, start, 10s));
    CHECK(lease.expires() == start + 10500ms);
}

TEST_CASE("what was granted to another incarnation does not count") {
    Lease lease;
    lease.begin({2, 7});
    CHECK_FALSE(lease.granted({1, 7}, start, 10s));
    CHECK_FALSE(lease.granted({2, 8}, start, 10s));
    CHECK_FALSE(lease.expires());
}

TEST_CASE("a lease ends with its incarnation") {
    Lease lease;
    lease.begin({1, 7});
    CHECK(lease.granted({1, 7}, start, 10s));
    lease.begin({2, 9});
    CHECK_FALSE(lease.live(start, 0ms));
}

TEST_CASE("without a lease a node acts while neither configuration decides without it") {
    Lease lease;
    const auto may = [&](const Published& accepted) {
        return may_act(lease, accepted, test_node(1), start, 0ms);
    };
    CHECK(may(voters_are({1}, {1})));
    CHECK(may(voters_are({1, 2}, {1, 2})));
    CHECK_FALSE(may(voters_are({1, 2}, {1, 2, 3})));
    CHECK_FALSE(may(voters_are({1, 2, 3}, {1, 2})));
    CHECK_FALSE(may(voters_are({2}, {2})));
    lease.begin({1, 7});
    CHECK(lease.granted({1, 7}, start, 10s));
    CHECK(may(voters_are({1, 2, 3}, {1, 2, 3})));
}

}  // namespace
