#include "storage/record_store.h"

#include <utility>

namespace posthorse::storage {
namespace {

std::vector<PartitionInfo> summary(const Recovered& recovered) {
    std::vector<PartitionInfo> partitions;
    for (const auto& [id, partition] : recovered.partitions)
        partitions.push_back({
            .id = id,
            .fence = partition.mark.fence,
            .at = partition.mark.position(),
            .copying = partition.mark.before.has_value(),
            .messages = partition.messages,
        });
    return partitions;
}

}  // namespace

RecordStore::RecordStore(std::unique_ptr<KeyValue> disk,
                         Executor& home,
                         Workers workers,
                         CommitQueue::Settings settings,
                         const Recovered& recovered)
    : disk_(std::move(disk)),
      home_(home),
      found_(summary(recovered)),
      workers_(std::move(workers)),
      commits_(*disk_, claims_, *workers_.writes, home, std::move(settings), recovered),
      reader_(*disk_, claims_, [this](CommitQueue::Mend mend) { commits_.submit(mend); }) {}

// The workers end before what they work on.
RecordStore::~RecordStore() {
    closing_ = true;
    commits_.close();
    workers_ = {};
}

void RecordStore::fence(PartitionId partition, Epoch epoch, Completion<CopyState> done) {
    commits_.submit(CommitQueue::Fence{.partition = partition, .epoch = epoch}, std::move(done));
}

void RecordStore::drop(PartitionId partition, Completion<> done) {
    commits_.submit(CommitQueue::Drop{.partition = partition}, std::move(done));
}

void RecordStore::apply(Operation operation, Completion<> done) {
    commits_.submit(std::move(operation), std::move(done));
}

void RecordStore::probe(Completion<> done) {
    commits_.submit(CommitQueue::Probe{}, std::move(done));
}

template <class T, class Question>
void RecordStore::ask(Worker& worker, Question question, Completion<T> done) {
    worker.post([this, question = std::move(question), done = std::move(done)]() mutable {
        Result<T> answer =
            closing_ ? Result<T>(Error{Errc::cancelled, "the queue is closing"}) : question();
        home_.post([answer = std::move(answer), done = std::move(done)]() mutable {
            done(std::move(answer));
        });
    });
}

// A node that cannot record what becomes of a message must not begin with it.
void RecordStore::claim(PartitionId partition,
                        Epoch epoch,
                        WallTime until,
                        std::size_t limit,
                        Completion<std::vector<Envelope>> done) {
    ask<std::vector<Envelope>>(
        *workers_.claims,
        [=, this]() -> Result<std::vector<Envelope>> {
            if (!healthy()) return Error{Errc::io, "the disk of this queue failed"};
            return reader_.claim(partition, epoch, until, limit);
        },
        std::move(done));
}

void RecordStore::claim_one(Epoch epoch, QueueId id, Completion<Envelope> done) {
    ask<Envelope>(
        *workers_.claims,
        [=, this]() -> Result<Envelope> {
            if (!healthy()) return Error{Errc::io, "the disk of this queue failed"};
            return reader_.claim_one(epoch, id);
        },
        std::move(done));
}

void RecordStore::release(QueueId id) {
    claims_.release(id);
}

void RecordStore::next_due(PartitionId partition, Completion<WallTime> done) {
    ask<WallTime>(
        *workers_.claims, [=, this] { return reader_.next_due(partition); }, std::move(done));
}

void RecordStore::envelope(QueueId id, Completion<Envelope> done) {
    ask<Envelope>(*workers_.reads, [=, this] { return reader_.envelope(id); }, std::move(done));
}

void RecordStore::chunk(QueueId id, std::uint32_t index, Completion<Chunk> done) {
    ask<Chunk>(*workers_.reads, [=, this] { return reader_.chunk(id, index); }, std::move(done));
}

void RecordStore::list(PartitionId partition,
                       QueueId after,
                       std::size_t limit,
                       Completion<std::vector<Envelope>> done) {
    ask<std::vector<Envelope>>(
        *workers_.reads, [=, this] { return reader_.list(partition, after, limit); },
        std::move(done));
}

void RecordStore::summarize(PartitionId partition,
                            SummaryStep from,
                            std::size_t limit,
                            WallTime now,
                            Completion<SummaryStep> done) {
    ask<SummaryStep>(
        *workers_.reads,
        [=, this, from = std::move(from)]() mutable {
            return reader_.summarize(partition, std::move(from), limit, now);
        },
        std::move(done));
}

void RecordStore::damaged(PartitionId partition, Completion<std::vector<QueueId>> done) {
    ask<std::vector<QueueId>>(
        *workers_.reads, [=, this] { return reader_.damaged(partition); }, std::move(done));
}

void RecordStore::intents(PartitionId partition, Completion<std::vector<Intent>> done) {
    ask<std::vector<Intent>>(
        *workers_.reads, [=, this] { return reader_.intents(partition); }, std::move(done));
}

void RecordStore::outcome(QueueId id,
                          std::uint32_t attempt,
                          Completion<std::vector<RecipientOutcome>> done) {
    ask<std::vector<RecipientOutcome>>(
        *workers_.reads, [=, this] { return reader_.outcome(id, attempt); }, std::move(done));
}

}  // namespace posthorse::storage
