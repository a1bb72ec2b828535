// Test doubles of the ports around ReplicatedQueue: a control plane that agrees at once or never,
// and holders that acknowledge, stay silent or are slow, as the test says.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "replication/control_plane.h"
#include "replication/holder_link.h"
#include "tests/unit/replication/core/test_pool.h"

namespace posthorse::tests {

class FakeControl final : public replication::ControlPlane {
public:
    bool live = true;    // the lease
    bool agrees = true;  // to propose()
    std::vector<replication::Change> proposed;

    // One open partition, number 1, owned by node 1, in sync with `holders` too.
    explicit FakeControl(const std::vector<NodeId>& holders) {
        replication::PartitionState partition;
        partition.id = {1};
        partition.owner = self();
        partition.in_sync = {self()};
        partition.in_sync.insert(partition.in_sync.end(), holders.begin(), holders.end());
        partition.epoch = {1};
        pool_.version = {1};
        pool_.partitions.push_back(partition);
    }

    void start(Completion<replication::PoolState> done) override { done(pool_); }
    const replication::PoolState& read() const override { return pool_; }
    void watch(UniqueFunction<void(const replication::PoolState&)> changed) override {
        changed_ = std::move(changed);
    }
    void propose(replication::Change change, Completion<> done) override {
        proposed.push_back(change);
        if (!agrees) return done(Error{Errc::conflict, "another change came first"});
        auto next = replication::changed(pool_, change);
        if (!next) return done(next.error());
        become(*std::move(next));
        done({});
    }
    // The pool agrees on this.
    void become(replication::PoolState next) {
        next.version.value += 1;
        pool_ = std::move(next);
        changed_(pool_);
    }
    bool lease_live(BootTime, Duration) const override { return live; }
    NodeId self() const override { return test_node(1); }
    Incarnation incarnation() const override { return {1, 1}; }

private:
    replication::PoolState pool_;
    UniqueFunction<void(const replication::PoolState&)> changed_;
};

class FakeHolders final : public replication::HolderLinks {
public:
    std::map<NodeId, std::vector<storage::Operation>> received;

    void send(NodeId holder, const storage::Operation& operation) override {
        received[holder].push_back(operation);
    }
    void on_ack(UniqueFunction<void(const replication::Ack&)> acknowledged) override {
        acknowledged_ = std::move(acknowledged);
    }

    // `holder` has everything that was sent to it.
    void acknowledge_all(NodeId holder) {
        const auto& stamp = received[holder].back().stamp;
        acknowledged_({holder, stamp.partition, stamp.epoch, stamp.sequence, stamp.sequence});
    }
    // In its log, not yet on its disk.
    void acknowledge_received(NodeId holder) {
        const auto& stamp = received[holder].back().stamp;
        acknowledged_({holder, stamp.partition, stamp.epoch, stamp.sequence, Sequence{0}});
    }

private:
    UniqueFunction<void(const replication::Ack&)> acknowledged_;
};

}  // namespace posthorse::tests
