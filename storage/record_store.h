// The queue of one disk on any ordered key-value database: queue_store.h over key_value.h.
//
// Place     Put together by rocks_store.cc (threads, RocksDB) and memory_store.cc (one executor,
//           memory). All rules of the queue are here and below, so that what the simulator
//           exercises is what production runs.
// Contract  As queue_store.h. Writes go through one commit queue; claims, which must not overlap,
//           through a second worker; other reads through a third.
// Owner     Whoever opened it. It owns its database and its workers; completions run at `home`.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "storage/claim_table.h"
#include "storage/commit_queue.h"
#include "storage/queue_reader.h"
#include "storage/queue_store.h"
#include "storage/worker.h"

namespace posthorse::storage {

class RecordStore final : public QueueStore {
public:
    struct Workers {
        std::unique_ptr<Worker> writes;
        std::unique_ptr<Worker> claims;
        std::unique_ptr<Worker> reads;
    };

    // `recovered` is what recover() found in `disk`.
    RecordStore(std::unique_ptr<KeyValue> disk,
                Executor& home,
                Workers workers,
                CommitQueue::Settings settings,
                const Recovered& recovered);
    ~RecordStore() override;

    void fence(PartitionId partition, Epoch epoch, Completion<CopyState> done) override;
    void drop(PartitionId partition, Completion<> done) override;
    void apply(Operation operation, Completion<> done) override;
    void probe(Completion<> done) override;
    void sync_patient() override { commits_.sync_patient(); }
    void claim(PartitionId partition,
               Epoch epoch,
               WallTime until,
               std::size_t limit,
               Completion<std::vector<Envelope>> done) override;
    void claim_one(Epoch epoch, QueueId id, Completion<Envelope> done) override;
    void release(QueueId id) override;
    void next_due(PartitionId partition, Completion<WallTime> done) override;
    void envelope(QueueId id, Completion<Envelope> done) override;
    void chunk(QueueId id, std::uint32_t index, Completion<Chunk> done) override;
    void list(PartitionId partition,
              QueueId after,
              std::size_t limit,
              Completion<std::vector<Envelope>> done) override;
    void summarize(PartitionId partition,
                   SummaryStep from,
                   std::size_t limit,
                   WallTime now,
                   Completion<SummaryStep> done) override;
    void damaged(PartitionId partition, Completion<std::vector<QueueId>> done) override;
    void intents(PartitionId partition, Completion<std::vector<Intent>> done) override;
    void outcome(QueueId id,
                 std::uint32_t attempt,
                 Completion<std::vector<RecipientOutcome>> done) override;
    std::vector<PartitionInfo> partitions() const override { return found_; }
    StoreStats stats() const override { return commits_.stats(); }
    std::uint64_t count(PartitionId partition) const override {
        return static_cast<std::uint64_t>(commits_.amount(partition).messages);
    }
    std::uint64_t bytes(PartitionId partition) const override {
        return static_cast<std::uint64_t>(commits_.amount(partition).bytes);
    }
    bool healthy() const override { return commits_.healthy(); }

private:
    // Asks `question` on `worker` and completes at home.
    template <class T, class Question>
    void ask(Worker& worker, Question question, Completion<T> done);

    const std::unique_ptr<KeyValue> disk_;
    Executor& home_;
    const std::vector<PartitionInfo> found_;
    std::atomic<bool> closing_ = false;
    Workers workers_;
    ClaimTable claims_;
    CommitQueue commits_;
    QueueReader reader_;
};

}  // namespace posthorse::storage
