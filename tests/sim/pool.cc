#include "tests/sim/pool.h"

#include <utility>

#include "proto/types/assert.h"
#include "storage/queue_batch.h"

namespace posthorse::sim {

using namespace std::chrono_literals;

NodeId sim_node(std::uint8_t number) {
    NodeId id;
    id.bytes.fill(number);
    return id;
}

bool durable_on(const storage::MemoryDisk& disk, const Envelope& envelope) {
    if (!disk.is_synced(storage::Family::envelope, storage::envelope_key(envelope.id)))
        return false;
    for (std::uint32_t index = 0; index <= envelope.chunk_count; ++index)
        if (!disk.is_synced(storage::Family::body, storage::body_key(envelope.id, index)))
            return false;
    return true;
}

SimControl::SimControl(World& world, NodeId self, std::optional<NodeId> holder)
    : world_(world), self_(self) {
    using namespace replication;
    constexpr int open_partitions = 4;
    agree(Start{self, {1, world.random()}, {}});
    if (holder) agree(Start{*holder, {1, world.random()}, {}});
    const auto in_sync = holder ? std::vector{self, *holder} : std::vector{self};
    for (int number = 0; number < open_partitions; ++number) agree(OpenPartition{in_sync});
    agree(OpenPartition{{self}, true});
}

void SimControl::agree(const replication::Change& change) {
    auto next = replication::changed(std::move(pool_), change);
    PH_ASSERT(next.has_value());
    pool_ = *std::move(next);
    pool_.version.value += 1;
}

void SimControl::restart() {
    const bool first = life_ == nullptr;
    life_ = std::make_unique<Life>(world_);
    changed_ = {};
    if (first) return;
    const auto ended = incarnation();
    agree(
        replication::Evict{{{self_, ended}}, {{self_, {ended.counter + 1, world_.random()}, {}}}});
    for (replication::PartitionState& partition : pool_.partitions) partition.in_sync = {self_};
}

void SimControl::propose(replication::Change change, Completion<> done) {
    life_->after(world_.between(5ms, 50ms), [this, change, done = std::move(done)]() mutable {
        auto next = replication::changed(pool_, change);
        if (!next) return done(next.error());
        pool_ = *std::move(next);
        pool_.version.value += 1;
        if (changed_) changed_(pool_);
        done({});
    });
}

SimHolder::SimHolder(World& world, NodeId self, AckHabit habit)
    : world_(world),
      self_(self),
      habit_(habit),
      life_(world),
      home_(world, life_, 0ms, 0ms),
      pace_(world, life_, 1ms, 30ms),
      network_(world, life_, 1ms, 20ms) {
    auto opened = storage::open_memory_store(disk_, home_, pace_);
    PH_ASSERT(opened.has_value());
    store_ = *std::move(opened);
}

void SimHolder::send(NodeId holder, const storage::Operation& operation) {
    PH_ASSERT(holder == self_);
    if (silent_) return;
    if (habit_ == AckHabit::at_once) home_.post([this, operation] { acknowledge(operation); });
    network_.post([this, operation] { arrived(operation); });
}

void SimHolder::arrived(const storage::Operation& operation) {
    store_->apply(operation, [this, operation](const Result<void>& stored) {
        if (stored && habit_ == AckHabit::when_durable)
            network_.post([this, operation] { acknowledge(operation); });
    });
}

void SimHolder::acknowledge(const storage::Operation& operation) {
    if (silent_ || !acknowledged_) return;
    const storage::Stamp& stamp = operation.stamp;
    acknowledged_({
        .holder = self_,
        .partition = stamp.partition,
        .epoch = stamp.epoch,
        .received = stamp.sequence,
        .durable = storage::is_durable(operation) ? stamp.sequence : Sequence{0},
    });
}

bool SimHolder::durable(const Envelope& envelope) const {
    return durable_on(disk_, envelope);
}

}  // namespace posthorse::sim
