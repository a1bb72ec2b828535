// A pool of three: n1 answers operators, with the real queue; n2 and n3 have theirs in tables.
//
// Contract  n1 owns partition 1; n2 owns 2 and 3; n3 owns 4; 5 has no live owner, and n2 and n3
//           hold it.
#pragma once

#include "tests/unit/daemon/admin/admin_fixture.h"
#include "tests/unit/daemon/admin/parts/fake_node.h"

namespace posthorse::admin::test {

// A node that is not asked by operators.
struct Other {
    Other(const Clock& clock, PoolReader reader, std::set<PartitionId> owned)
        : own(clock, queue.ports(), std::move(reader)) {
        queue.taken_up = std::move(owned);
    }
    FakeQueue queue;
    OwnPart own;
    TestPart part{own};
};

class Pool {
public:
    Pool() : n2(make(2, {{2}, {3}})), n3(make(3, {{4}})) {
        node.on_home([this] {
            auto state = node.control.read();
            state.members = tests::pool_of(3).members;
            state.pool_id = "pool";
            add_partition(state, {2, 1});
            add_partition(state, {2});
            add_partition(state, {3, 2});
            add_partition(state, {2, 3});
            state.partitions.back().owner.reset();
            node.control.become(std::move(state));
        });
    }

    Node node;
    std::shared_ptr<Other> n2;
    std::shared_ptr<Other> n3;

private:
    std::shared_ptr<Other> make(std::uint8_t number, std::set<PartitionId> owned) {
        const PoolReader reader{
            [this]() -> const replication::PoolState& { return node.control.read(); },
            tests::test_node(number)};
        auto other = std::make_shared<Other>(node.clock, reader, std::move(owned));
        node.other_parts[tests::test_node(number)] =
            std::shared_ptr<QueuePart>(other, &other->part);
        return other;
    }
    static void add_partition(replication::PoolState& state, const std::vector<int>& holders) {
        const auto nodes = tests::test_nodes(holders);
        const auto number = static_cast<std::uint32_t>(state.partitions.size() + 1);
        state.partitions.push_back(
            {.id = {number}, .owner = nodes.front(), .in_sync = nodes, .epoch = {1}});
        state.next_partition = {number + 1};
    }
};

}  // namespace posthorse::admin::test
