#include "replication/core/solo_pool.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::replication;

namespace {

NodeId some_node() {
    NodeId id;
    id.bytes.fill(7);
    return id;
}

}  // namespace

TEST_CASE("a new pool has open partitions and one solo partition, all of them the node's") {
    const auto pool = begin_pool("p", some_node(), "a");
    REQUIRE(pool.partitions.size() == solo_open_partitions + 1);
    std::size_t solo = 0;
    for (const auto& partition : pool.partitions) {
        CHECK(partition.owner == some_node());
        CHECK(partition.in_sync == std::vector{some_node()});
        CHECK(pool.find(partition.id) == &partition);
        solo += partition.solo ? 1 : 0;
    }
    CHECK(solo == 1);
    CHECK(pool.find(PartitionId{99}) == nullptr);
}

TEST_CASE("every start is a new incarnation in new epochs") {
    const auto before = begin_incarnation(begin_pool("p", some_node(), "a"), some_node(), 5);
    const auto after = begin_incarnation(before, some_node(), 6);
    CHECK(after.version > before.version);
    CHECK(after.members.front().incarnation.counter ==
          before.members.front().incarnation.counter + 1);
    CHECK(after.members.front().incarnation.random == 6);
    for (std::size_t i = 0; i < after.partitions.size(); ++i) {
        CHECK(after.partitions[i].epoch > before.partitions[i].epoch);
    }
}
