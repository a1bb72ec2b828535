// A replicated queue over a disk in memory, with holders around it that the test plays.
#pragma once

#include <vector>

#include "tests/unit/replication/fake_holders.h"
#include "tests/unit/replication/queue_node.h"

namespace posthorse::tests {

struct PoolParts {
    ManualExecutor home;
    ManualClock clock;
};

// Node 1 and its partition 1, with `holders` (nodes 2, 3, ...) beside the owner.
struct QueuePool : private PoolParts, QueueNode {
    explicit QueuePool(const std::vector<NodeId>& holder_nodes = {},
                       replication::InDoubtPolicy in_doubt = replication::InDoubtPolicy::resend)
        : QueueNode(PoolParts::home, PoolParts::clock),
          pool(of(holder_nodes)),
          holders(PoolParts::home) {
        settings.in_doubt = in_doubt;
        start_process();
    }
    ~QueuePool() { kill_process(); }

    void start_process() {
        QueueNode::start_process(pool, test_node(1), pool.value().member(test_node(1))->incarnation,
                                 holders);
        home.run();
    }
    void kill_process() {
        holders.forget_owner();
        end_process();
    }
    void restart() {
        kill_process();
        const auto before = pool.value().member(test_node(1))->incarnation;
        const auto next = start_of(1, before.counter + 1, "");
        pool.change(replication::Evict{{{test_node(1), before}}, {next}}).value();
        start_process();
    }
    void tick(Duration after) {
        clock.advance(after);
        queue->tick();
        home.run();
    }

    using QueueNode::clock;
    using QueueNode::home;
    FakePool pool;
    FakeHolders holders;

private:
    static replication::PoolState of(const std::vector<NodeId>& holder_nodes) {
        auto state = pool_of(1 + holder_nodes.size());
        std::vector<NodeId> set{test_node(1)};
        set.insert(set.end(), holder_nodes.begin(), holder_nodes.end());
        return replication::changed(state, replication::OpenPartition{set}).value();
    }
};

}  // namespace posthorse::tests
