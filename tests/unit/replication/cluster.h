// A pool of real queues: each on a disk of its own, with the test's network between them and the
// test's value above them.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/replication/fake_network.h"
#include "tests/unit/replication/queue_node.h"

namespace posthorse::tests {

class Cluster {
public:
    struct Node : QueueNode {
        Node(ManualExecutor& home, ManualClock& clock, std::uint8_t number)
            : QueueNode(home, clock), id(test_node(number)) {}
        const NodeId id;
        std::unique_ptr<FakeNetwork::Endpoint> endpoint;
    };

    // Nodes 1, 2, ... of these zones, all running, with these partitions: the owner first.
    explicit Cluster(const std::vector<std::string>& zones,
                     const std::vector<std::vector<int>>& partitions = {},
                     QueueNode::Settings settings = {})
        : pool(with(pool_of(zones), partitions)), network(home) {
        for (std::uint8_t number = 1; number <= zones.size(); ++number) {
            auto& node = add(number);
            const auto random = node.settings.random;
            node.settings = settings;
            node.settings.random = random;
            start(number);
        }
        home.run();
    }
    explicit Cluster(std::size_t count,
                     const std::vector<std::vector<int>>& partitions = {},
                     QueueNode::Settings settings = {})
        : Cluster(std::vector<std::string>(count), partitions, std::move(settings)) {}
    ~Cluster() {
        for (auto& node : nodes_) stop(*node);
    }

    Node& operator[](int number) { return *nodes_.at(static_cast<std::size_t>(number - 1)); }
    Node& add(std::uint8_t number) {
        nodes_.push_back(std::make_unique<Node>(home, clock, number));
        return *nodes_.back();
    }
    // A node with an empty disk joins.
    Node& join() {
        const auto number = static_cast<std::uint8_t>(nodes_.size() + 1);
        add(number);
        pool.change(start_of(number, 1, "")).value();
        start(number);
        home.run();
        return (*this)[number];
    }

    // --- processes
    void start(int number) {
        auto& node = (*this)[number];
        const auto incarnation = pool.value().member(node.id)->incarnation;
        node.endpoint = std::make_unique<FakeNetwork::Endpoint>(
            network, replication::PeerStreams::Peer{node.id, incarnation});
        node.start_process(pool, node.id, incarnation, *node.endpoint);
        for (const auto& other : nodes_) {  // they had tried before
            if (other->endpoint) network.meet(other->id, node.id);
        }
    }
    void kill(int number) {
        stop((*this)[number]);
        home.run();
    }
    void lose_power(int number) {
        kill(number);
        (*this)[number].disk.crash();
    }
    // The pool ends its incarnation; the process is not asked.
    void evict(int number) {
        const auto& node = (*this)[number];
        pool.change(replication::Evict{{{node.id, pool.value().member(node.id)->incarnation}}, {}})
            .value();
        if (node.control) node.control->live = false;
        home.run();
    }
    // The next incarnation begins in the change that ends the last one: it keeps its places.
    void restart(int number) {
        kill(number);
        begin_anew(number);
    }
    void begin_anew(int number) {
        const auto& member = *pool.value().member((*this)[number].id);
        auto next = start_of(static_cast<std::uint8_t>(number), member.incarnation.counter + 1,
                             member.facts.zone);
        if (member.live)
            pool.change(replication::Evict{{{member.id, member.incarnation}}, {next}}).value();
        else
            pool.change(next).value();
        start(number);
        home.run();
    }

    // --- time
    void run() { home.run(); }
    // Everybody's timers run.
    void pass(Duration time) {
        constexpr Duration step = std::chrono::milliseconds{50};
        for (Duration passed{}; passed < time; passed += step) {
            clock.advance(step);
            for (auto& node : nodes_) {
                if (node->queue) node->queue->tick();
                home.run();
            }
        }
    }

    const replication::PartitionState& partition(std::uint32_t number = 1) const {
        const auto* found = pool.value().find(PartitionId{number});
        REQUIRE(found != nullptr);
        return *found;
    }
    // Is what these nodes have of a partition the same, bodies and attempts too?
    void check_same(const std::vector<int>& numbers, std::uint32_t partition = 1) {
        const PartitionId id{partition};
        auto& first = (*this)[numbers.front()];
        const auto messages = first.stored(id);
        for (const int number : numbers) {
            CAPTURE(number);
            auto& node = (*this)[number];
            CHECK(node.stored(id) == messages);
            CHECK(node.open_intents(id) == first.open_intents(id));
            CHECK(node.store->count(id) == messages.size());
            for (const auto& message : messages) {
                for (std::uint32_t index = 0; index <= message.chunk_count; ++index) {
                    const auto bytes = node.stored_chunk(message.id, index);
                    CHECK_FALSE(bytes.empty());
                    CHECK(bytes == first.stored_chunk(message.id, index));
                }
            }
        }
    }

    ManualExecutor home;
    ManualClock clock;
    FakePool pool;
    FakeNetwork network;

private:
    static replication::PoolState with(replication::PoolState state,
                                       const std::vector<std::vector<int>>& partitions) {
        for (const auto& holders : partitions) state = with_partition(state, holders);
        return state;
    }
    void stop(Node& node) {
        if (!node.queue) return;
        node.endpoint.reset();
        node.disk_work.go_on();
        node.end_process();
    }

    std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace posthorse::tests
