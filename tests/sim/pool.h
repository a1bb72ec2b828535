// The pool around the simulated node: its agreement, and one other holder with a disk of its own.
//
// Contract  The agreed value outlives the node. A holder that is dropped stays dropped: bringing
//           one up again is not built yet, so a restarted owner is in sync with itself alone.
// Owner     One Simulation.
#pragma once

#include <memory>
#include <optional>

#include "replication/control_plane.h"
#include "replication/holder_link.h"
#include "storage/memory_store.h"
#include "tests/sim/world.h"

namespace posthorse::sim {

class SimControl final : public replication::ControlPlane {
public:
    SimControl(World& world, NodeId self, std::optional<NodeId> holder);

    // A new start of the node.
    void restart();
    void lose_lease_for(Duration time) { lapsed_until_ = world_.boot() + time; }

    void start(Completion<replication::PoolState> done) override { done(pool_); }
    const replication::PoolState& read() const override { return pool_; }
    void watch(UniqueFunction<void(const replication::PoolState&)> changed) override {
        changed_ = std::move(changed);
    }
    void propose(replication::Change change, Completion<> done) override;
    bool lease_live(BootTime now, Duration margin) const override {
        return now >= lapsed_until_ + margin;
    }
    NodeId self() const override { return self_; }
    Incarnation incarnation() const override { return pool_.member(self_)->incarnation; }

private:
    void agree(const replication::Change& change);

    World& world_;
    const NodeId self_;
    replication::PoolState pool_;
    BootTime lapsed_until_{};
    UniqueFunction<void(const replication::PoolState&)> changed_;
    std::unique_ptr<Life> life_;  // of the node's incarnation
};

enum class AckHabit : std::uint8_t {
    when_durable,
    at_once,  // a mutant: says that it has what it has not
};

class SimHolder final : public replication::HolderLinks {
public:
    SimHolder(World& world, NodeId self, AckHabit habit);

    void send(NodeId holder, const storage::Operation& operation) override;
    void on_ack(UniqueFunction<void(const replication::Ack&)> acknowledged) override {
        acknowledged_ = std::move(acknowledged);
    }
    void fall_silent() { silent_ = true; }
    bool durable(const Envelope& envelope) const;

private:
    void arrived(const storage::Operation& operation);
    void acknowledge(const storage::Operation& operation);

    World& world_;
    const NodeId self_;
    const AckHabit habit_;
    bool silent_ = false;
    Life life_;
    LifeExecutor home_;
    LifeExecutor pace_;
    LifeExecutor network_;
    storage::MemoryDisk disk_;
    std::unique_ptr<storage::QueueStore> store_;
    UniqueFunction<void(const replication::Ack&)> acknowledged_;
};

NodeId sim_node(std::uint8_t number);
bool durable_on(const storage::MemoryDisk& disk, const Envelope& envelope);

}  // namespace posthorse::sim
