#include "daemon/admin/pool_messages.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/admin/pools.h"

namespace posthorse::admin {
namespace {

using namespace std::chrono_literals;
using test::alpha;
using test::bravo;
using test::charlie;

std::vector<std::string> list(const google::protobuf::RepeatedPtrField<std::string>& texts) {
    return {texts.begin(), texts.end()};
}

TEST_CASE("the pool's head") {
    auto view = test::three_nodes();
    view.set_aside = {"/var/lib/posthorse/stranger-1"};
    view.status.voters_change = true;
    const auto pool = to_pool(view);
    CHECK(pool.pool_id() == "f00d");
    CHECK(pool.pool_incarnation() == 1);
    CHECK(pool.version() == 17);
    CHECK(pool.term() == 3);
    CHECK(pool.leader_id() == alpha.to_string());
    CHECK(list(pool.voter_ids()) ==
          std::vector{alpha.to_string(), bravo.to_string(), charlie.to_string()});
    CHECK(pool.voters_changing());
    CHECK(pool.copies() == 2);
    CHECK(pool.lease_ttl().seconds() == 10);
    CHECK(list(pool.releases()) == std::vector<std::string>{"0.1.0", "0.2.0"});
    CHECK(pool.features() == 2);
    CHECK(list(pool.set_aside()) == view.set_aside);
}

TEST_CASE("this node") {
    auto view = test::three_nodes();
    view.status.waits_for = "two more\nnodes";
    auto here = to_pool(view).this_node();
    CHECK(here.id() == alpha.to_string());
    CHECK(here.name() == "alpha");
    CHECK(here.phase() == "member");
    CHECK(here.waits_for() == "two more nodes");
    CHECK(here.incarnation() == 5);
    CHECK(here.lease_left().seconds() == 8);
    CHECK(here.lease_left().nanos() == 490'000'000);
    CHECK(here.evictable());
    view.status.lease_left.reset();
    view.status.evictable = false;
    here = to_pool(view).this_node();
    CHECK_FALSE(here.has_lease_left());
    CHECK_FALSE(here.evictable());
}

TEST_CASE("members") {
    const auto pool = to_pool(test::three_nodes());
    REQUIRE(pool.members_size() == 3);
    const auto& first = pool.members(0);
    CHECK(first.id() == alpha.to_string());
    CHECK(first.name() == "alpha");
    CHECK(first.address() == "alpha.test:9626");
    CHECK(first.zone() == "east");
    CHECK(first.release() == "0.1.0");
    CHECK(first.features() == 2);
    CHECK(first.live());
    CHECK(first.incarnation() == 5);
    CHECK(first.voter());
    CHECK(first.leader());
    CHECK(first.lease_left().seconds() == 8);  // what it counts itself
    CHECK(first.acknowledged_version() == 16);
    CHECK(first.partitions_owned() == 2);
    CHECK(first.partitions_in_sync() == 3);
    CHECK(pool.members(1).lease_left().seconds() == 7);
    CHECK_FALSE(pool.members(1).leader());
    CHECK_FALSE(pool.members(2).live());
    CHECK_FALSE(pool.members(2).has_lease_left());
}

TEST_CASE("partitions") {
    const auto pool = to_pool(test::three_nodes());
    REQUIRE(pool.partitions_size() == 4);
    const auto& first = pool.partitions(0);
    CHECK(first.id() == 1);
    CHECK(first.owner_id() == alpha.to_string());
    CHECK(first.owner_name() == "alpha");
    CHECK(list(first.in_sync_ids()) == std::vector{alpha.to_string(), bravo.to_string()});
    CHECK(first.epoch() == 11);
    CHECK(first.phase() == v1::PARTITION_PHASE_OPEN);
    CHECK_FALSE(first.short_of_copies());
    CHECK(pool.partitions(1).solo());
    CHECK(pool.partitions(2).phase() == v1::PARTITION_PHASE_CLOSING);
    CHECK(pool.partitions(3).owner_id() == "");
    CHECK(pool.partitions(3).short_of_copies());
}

TEST_CASE("before there is a pool only this node is told of") {
    PoolView view;
    view.name = "alpha";
    view.status.self = alpha;
    view.status.phase = "looking for a pool";
    const auto pool = to_pool(view);
    CHECK(pool.pool_id() == "");
    CHECK(pool.pool_incarnation() == 0);
    CHECK(pool.members().empty());
    CHECK(pool.this_node().name() == "alpha");
    CHECK(pool.this_node().phase() == "looking for a pool");
}

TEST_CASE("what other nodes say of themselves arrives as printable ASCII") {
    auto view = test::three_nodes();
    view.committed.members[1].facts = {
        .name = "b\x1b[0m", .address = "\xff", .zone = "\n", .release = "\x01"};
    const auto pool = to_pool(view);
    CHECK(pool.members(1).name() == "b?[0m");
    CHECK(pool.members(1).address() == "?");
    CHECK(pool.partitions(2).owner_name() == "b?[0m");
    CHECK(pool.SerializeAsString().find('\xff') == std::string::npos);
}

}  // namespace
}  // namespace posthorse::admin
