// The reading half of the queue on one disk: claims, lists, records and bodies.
//
// Place     storage/record_store.h calls it on its workers. It writes nothing: what it finds
//           damaged it hands to the writer (`mend`), which looks again and sets it aside.
// Contract  As the calls of the same names in queue_store.h. Every message that claim() and
//           claim_one() give is claimed in the table and as new as the disk at that moment.
// Owner     The record store. claim(), claim_one() and next_due() on one thread; the others on any.
// Errors    A damaged record costs itself and no other: the rest of the answer is given.
#pragma once

#include <functional>
#include <vector>

#include "storage/claim_table.h"
#include "storage/commit_queue.h"
#include "storage/key_value.h"

namespace posthorse::storage {

class QueueReader {
public:
    using Mender = std::function<void(CommitQueue::Mend)>;

    QueueReader(const KeyValue& disk, ClaimTable& claims, Mender mend);

    Result<std::vector<Envelope>> claim(PartitionId partition,
                                        Epoch epoch,
                                        WallTime until,
                                        std::size_t limit);
    Result<Envelope> claim_one(Epoch epoch, QueueId id);
    Result<WallTime> next_due(PartitionId partition);

    Result<Envelope> envelope(QueueId id) const;
    Result<Chunk> chunk(QueueId id, std::uint32_t index) const;
    Result<std::vector<Envelope>> list(PartitionId partition,
                                       QueueId after,
                                       std::size_t limit) const;
    Result<SummaryStep> summarize(PartitionId partition,
                                  SummaryStep from,
                                  std::size_t limit,
                                  WallTime now) const;
    Result<std::vector<QueueId>> damaged(PartitionId partition) const;
    Result<std::vector<Intent>> intents(PartitionId partition) const;
    Result<std::vector<RecipientOutcome>> outcome(QueueId id, std::uint32_t attempt) const;

private:
    std::optional<Error> refuse_fenced(PartitionId partition, Epoch epoch) const;
    Result<Envelope> read(QueueId id) const;
    std::optional<Envelope> take(const DuePosition& candidate);
    Result<std::vector<Envelope>> list_by_due_index(PartitionId partition,
                                                    QueueId after,
                                                    std::size_t limit) const;

    const KeyValue& disk_;
    ClaimTable& claims_;
    const Mender mend_;
};

}  // namespace posthorse::storage
