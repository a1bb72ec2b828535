// A mutant: a store that says that it keeps intents, and does not. The checkers must find it.
#pragma once

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "proto/types/executor.h"
#include "storage/queue_store.h"

namespace posthorse::sim {

class ForgetfulStore final : public storage::QueueStore {
public:
    ForgetfulStore(std::unique_ptr<storage::QueueStore> store, Executor& home)
        : store_(std::move(store)), home_(home) {}

    void fence(PartitionId partition, Epoch epoch, Completion<> done) override {
        store_->fence(partition, epoch, std::move(done));
    }
    void apply(storage::Operation operation, Completion<> done) override {
        if (std::holds_alternative<storage::Intend>(operation.change))
            return home_.post([done = std::move(done)]() mutable { done({}); });
        store_->apply(std::move(operation), std::move(done));
    }
    void probe(Completion<> done) override { store_->probe(std::move(done)); }
    void claim(PartitionId partition,
               Epoch epoch,
               WallTime until,
               std::size_t limit,
               Completion<std::vector<Envelope>> done) override {
        store_->claim(partition, epoch, until, limit, std::move(done));
    }
    void claim_one(Epoch epoch, QueueId id, Completion<Envelope> done) override {
        store_->claim_one(epoch, id, std::move(done));
    }
    void release(QueueId id) override { store_->release(id); }
    void next_due(PartitionId partition, Completion<WallTime> done) override {
        store_->next_due(partition, std::move(done));
    }
    void envelope(QueueId id, Completion<Envelope> done) override {
        store_->envelope(id, std::move(done));
    }
    void chunk(QueueId id, std::uint32_t index, Completion<Chunk> done) override {
        store_->chunk(id, index, std::move(done));
    }
    void list(PartitionId partition,
              QueueId after,
              std::size_t limit,
              Completion<std::vector<Envelope>> done) override {
        store_->list(partition, after, limit, std::move(done));
    }
    void intents(PartitionId partition, Completion<std::vector<Intent>> done) override {
        store_->intents(partition, std::move(done));
    }
    std::vector<storage::PartitionInfo> partitions() const override { return store_->partitions(); }
    storage::StoreStats stats() const override { return store_->stats(); }
    bool healthy() const override { return store_->healthy(); }

private:
    std::unique_ptr<storage::QueueStore> store_;
    Executor& home_;
};

}  // namespace posthorse::sim
