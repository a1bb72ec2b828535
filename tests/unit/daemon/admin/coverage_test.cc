#include "daemon/admin/coverage.h"

#include <doctest/doctest.h>

#include "tests/unit/replication/core/test_pool.h"

namespace posthorse::admin {
namespace {

using tests::test_node;

// Partitions 1 and 2 of n1, 3 of n2; n2 holds 1 too.
replication::PoolState pool() {
    auto state = tests::with_partition(tests::pool_of(2), {1, 2});
    state = tests::with_partition(state, {1});
    return tests::with_partition(state, {2});
}

v1::Walked step(const std::vector<std::uint32_t>& partitions) {
    v1::Walked walked;
    for (const auto partition : partitions) walked.add_partitions(partition);
    return walked;
}

TEST_CASE("what every owner answered for is not missing") {
    Coverage coverage(pool());
    coverage.walked(test_node(1), step({1, 2}));
    coverage.walked(test_node(2), step({3}));
    CHECK(coverage.missing(pool()).empty());
}

TEST_CASE("a node is answered for only by what it owned in every step") {
    Coverage coverage(pool());
    coverage.walked(test_node(1), step({1, 2}));
    coverage.walked(test_node(1), step({2}));
    coverage.walked(test_node(2), step({3}));
    const auto missing = coverage.missing(pool());
    REQUIRE(missing.size() == 1);
    CHECK(missing[0].node_name() == "n1");
    CHECK(missing[0].partitions_size() == 1);
    CHECK(missing[0].partitions(0) == 1);
    CHECK(missing[0].reason() == "just changing its owner");
    REQUIRE(missing[0].held_by_size() == 1);
    CHECK(missing[0].held_by(0) == "n2 (02020202)");
}

TEST_CASE("a step that failed takes back what earlier ones answered for") {
    Coverage coverage(pool());
    coverage.walked(test_node(1), step({1, 2}));
    coverage.failed(test_node(1), {Errc::unavailable, "it\ndied"});
    coverage.walked(test_node(2), step({3}));
    const auto missing = coverage.missing(pool());
    REQUIRE(missing.size() == 1);
    CHECK(missing[0].partitions_size() == 2);
    CHECK(missing[0].reason() == "it died");
}

TEST_CASE("whoever owns it by now may answer for it") {
    Coverage coverage(pool());
    coverage.failed(test_node(1), {Errc::unavailable, "dead"});
    coverage.walked(test_node(2), step({1, 2, 3}));
    CHECK(coverage.missing(pool()).empty());
}

TEST_CASE("partitions that were opened or retired meanwhile are not missing") {
    Coverage coverage(pool());
    coverage.walked(test_node(1), step({1, 2}));
    coverage.walked(test_node(2), step({}));
    auto later = tests::with_partition(pool(), {2});
    std::erase_if(later.partitions, [](const auto& partition) { return partition.id.value == 3; });
    CHECK(coverage.missing(later).empty());
}

TEST_CASE("only the wanted partitions count") {
    Coverage coverage(pool(), {PartitionId{3}, PartitionId{99}});
    CHECK(coverage.missing(pool()).size() == 1);
    coverage.walked(test_node(2), step({3}));
    CHECK(coverage.missing(pool()).empty());
    CHECK(Coverage(replication::PoolState{}, {}).missing({}).empty());
}

TEST_CASE("without a pool everything is missing") {
    const auto missing = Coverage(replication::PoolState{}).missing({});
    REQUIRE(missing.size() == 1);
    CHECK(missing[0].node_id().empty());
    CHECK(missing[0].partitions().empty());
}

}  // namespace
}  // namespace posthorse::admin
