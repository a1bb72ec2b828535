// The queue on one disk, as a port. What a queue back-end must do, and what each call means.
//
// Place     Driven by replication/replicated_queue.h alone. Implementations: rocks_store.h and
//           memory_store.h; tests/unit/storage/queue_store_conformance.h is the suite that any
//           further one must pass. docs/queue-store.md explains this to whoever writes one;
//           docs/adr/ and FORMAT.md say why and how.
// Contract  *Operations* (below) are facts about one partition, each stamped with the partition,
//           the owner's epoch and a sequence that grows by one. They are blind: applying one needs
//           no read, so an owner and a holder apply the same operation to the same effect, and a
//           second application of one changes nothing. (A copy that is being brought up is not as
//           its owner thinks: there alone the store looks before it writes.)
//             Durable   Commit, Settle, BeginCopy and EndCopy complete only after they and every
//                       earlier operation of the partition are synced to disk. All others complete
//                       when they are in the write-ahead log, unsynced: they survive the process,
//                       not the power. A patient Settle waits for a sync that others need, or for
//                       sync_patient(), or until there are many.
//             Order     Operations of one partition become visible and durable in stamp order.
//                       Among partitions there is no order. Many share one sync.
//                       The last one that was applied is the copy's position. An operation of the
//                       same epoch at or below it is taken as applied already and completes with
//                       success. A refused operation leaves a gap: at an owner gaps are legal,
//                       steps back are not. A copy has none: see Operation::unbroken.
//             Fence     After fence(p, e) completed, an operation of p stamped below e fails with
//                       `fenced` and changes nothing, for ever (the fence is durable). Claims of
//                       lower epochs are void; the position stays. An operation above the fence
//                       raises it, and leaves claims alone: its owner has changed its epoch, not
//                       its mind.
//             Claim     A claimed message is returned by no further claim until it is settled
//                       (unless ClaimAfter::stays), released or fenced off. A committed message is
//                       born claimed by its epoch: nothing can send it before its acceptor says
//                       that it was accepted (release) or hands it on. A notice is born free, and
//                       so is what Restore brings.
//                       Claims are memory of this process: a restart begins with none. A message
//                       that nobody holds is changed only after claim_one(), or a claim under way
//                       may win the race.
//             Bodies    Chunk 0, the head (trace header, signatures, and the whole of a small
//                       body), comes with Commit; chunks 1..n come before it by Append. A body
//                       without a Commit is garbage: collected at recovery and on Abort.
// Owner     One process. Completions run on the executor passed to the implementation. Any thread
//           may call. Destroying the store completes what is pending with `cancelled`, and joins.
// Errors    full: below the disk floor; nothing was written. Append, Commit and Restore alone.
//           invalid: a change with a sequence that has no place in the order, or one in the order
//           without; one behind a gap that may have none; an EndCopy in a later epoch than its own,
//           or of a copy that refused something since BeginCopy. Nothing was changed.
//           io: a write or sync failed; from then on every operation fails so (a failed sync is
//           never tried again as if it had worked) and healthy() is false.
//           corrupt: a record cannot be read; it is set aside, counted, and the rest goes on.
// Bounds    Append completes late when the writer is behind: keep at most a few per message under
//           way. That is the back-pressure.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "proto/types/envelope.h"
#include "proto/types/result.h"
#include "storage/due_position.h"
#include "storage/queue_summary.h"

namespace posthorse::storage {

// Sequence 0 is outside of the order: what a copy is brought up or mended with. It is applied
// whenever the fence allows it, and moves no position but as EndCopy says.
struct Stamp {
    PartitionId partition;
    Epoch epoch;
    Sequence sequence;
    bool operator==(const Stamp&) const = default;
};

// How far a copy of a partition is: everything that its owner of that epoch did, up to `last`.
// Positions of copies compare: the greater one knows all that the lesser one knows.
struct Position {
    Epoch epoch;
    Sequence last;
    auto operator<=>(const Position&) const = default;
};

// Bytes of a body that is still arriving. Index 1 and up, in order.
struct Append {
    QueueId id;
    std::uint32_t index = 1;
    Chunk bytes;
};

// The message exists from here on. Requires envelope.chunk_count appended chunks.
struct Commit {
    Envelope envelope;
    Chunk head;
};

// The body will not be committed: withdraw it.
struct Abort {
    QueueId id;
    std::uint32_t chunk_count = 0;  // appended so far
};

// An attempt is about to send.
struct Intend {
    Intent intent;
};

// What becomes of this process's claim on a message that is settled.
enum class ClaimAfter : std::uint8_t {
    ends,   // nobody works on it any more
    stays,  // an operator changed it under its claimer, who works on
};

// How an attempt ended. Its owner's store keeps it until the other holders have the settlement: an
// owner that dies before can tell, when it comes back, the next one.
struct AttemptOutcome {
    QueueId id;
    std::uint32_t attempt = 0;
    std::vector<RecipientOutcome> outcomes;
    bool operator==(const AttemptOutcome&) const = default;
};

// A message's new state, or its end. Drops its intents named in `ended_attempts`. Notices (bounces,
// warnings) that the change causes become messages in the same atomic write.
struct Settle {
    QueueId id;
    WallTime due_before{};          // the due time stored so far
    std::uint32_t chunk_count = 0;  // of the message, for its removal
    std::uint64_t size_bytes = 0;   // likewise, for the count
    std::optional<Envelope> after;  // nullopt: the message is done and goes
    std::vector<NewMessage> notices;
    std::vector<std::uint32_t> ended_attempts;
    // --- of no meaning to other holders
    ClaimAfter claim = ClaimAfter::ends;
    std::vector<AttemptOutcome> remember;
    // --- of no meaning to the record: nobody waits for its completion
    bool patient = false;
};

// --- outside of the order, with sequence 0: Append, and

// The copy is not whole from here to EndCopy: operations go on being applied, and its position
// stays where it was. Durable. Twice is once.
struct BeginCopy {
    bool operator==(const BeginCopy&) const = default;
};

// The copy is whole. Its position is `at`, or where operations have brought it since BeginCopy when
// that is further. Its intents are these. Durable, with all before it.
struct EndCopy {
    Position at;
    std::vector<Intent> intents;
    bool operator==(const EndCopy&) const = default;
};

// A message as another holder has it; its chunks came by Append before. Its record replaces what is
// there, or, with `body_only`, is left as it is: operations brought a newer one, and only the head
// is written. Not claimed; free when it is new.
struct Restore {
    Envelope envelope;
    Chunk head;
    bool body_only = false;
};

// A message that the listing does not hold: it goes, with its body and intents.
struct Forget {
    QueueId id;
    bool operator==(const Forget&) const = default;
};

// The other holders have the settlements of these attempts: nobody will ask for their outcomes.
struct Unremember {
    std::vector<std::pair<QueueId, std::uint32_t>> attempts;
    bool operator==(const Unremember&) const = default;
};

struct Operation {
    Stamp stamp;
    std::variant<Append,
                 Commit,
                 Abort,
                 Intend,
                 Settle,
                 BeginCopy,
                 EndCopy,
                 Restore,
                 Forget,
                 Unremember>
        change;
    // Of a copy, which is told everything. When one is refused, so are all behind it, until it
    // comes again, or the copy begins anew (which one outside of the order waits for), or a later
    // epoch: a position above something that is not here would be taken for an acknowledgement, and
    // a record whose body had no room for a message.
    bool unbroken = false;
};

// Where a copy stands.
struct CopyState {
    Position at;
    bool whole = true;  // false: between BeginCopy and EndCopy it has parts of what came later
    bool operator==(const CopyState&) const = default;
};

// What recovery found of one partition.
struct PartitionInfo {
    PartitionId id;
    Epoch fence;
    Position at;
    bool copying = false;  // between BeginCopy and EndCopy
    std::uint64_t messages = 0;
};

// How far a count of a partition's mail came.
struct SummaryStep {
    QueueSummary summary;
    DuePosition to{};  // the last that was counted
    bool at_end = false;
};

struct StoreStats {
    std::uint64_t messages = 0;   // committed and not removed
    std::uint64_t bytes = 0;      // of these, as they are sent
    std::uint64_t set_aside = 0;  // records that could not be read
    std::uint64_t disk_free_bytes = 0;
    std::uint64_t syncs = 0;  // since start
    std::uint64_t synced_operations = 0;
    bool accepting = true;  // false: below the disk floor
};

class QueueStore {
public:
    virtual ~QueueStore() = default;

    // Completes with where the copy stands, all of it synced.
    virtual void fence(PartitionId partition, Epoch epoch, Completion<CopyState> done) = 0;
    // Everything of the partition goes, its fence too: for partitions that are no more.
    virtual void drop(PartitionId partition, Completion<> done) = 0;
    virtual void apply(Operation operation, Completion<> done) = 0;
    // Completes after a write of its own, behind all before it, is synced: the disk still works.
    virtual void probe(Completion<> done) = 0;
    // What is patient has waited long enough: it is synced. To be called again and again.
    virtual void sync_patient() = 0;

    // Claims up to `limit` messages of `partition` due at or before `until`, soonest first.
    virtual void claim(PartitionId partition,
                       Epoch epoch,
                       WallTime until,
                       std::size_t limit,
                       Completion<std::vector<Envelope>> done) = 0;
    // Claims one message whatever its due time. conflict: claimed already.
    virtual void claim_one(Epoch epoch, QueueId id, Completion<Envelope> done) = 0;
    // Gives a claim back unchanged. Unknown ids are ignored.
    virtual void release(QueueId id) = 0;
    // The due time of the next unclaimed message; `never` when there is none.
    virtual void next_due(PartitionId partition, Completion<WallTime> done) = 0;

    virtual void envelope(QueueId id, Completion<Envelope> done) = 0;
    // Chunk 0 is the head. not_found past the last.
    virtual void chunk(QueueId id, std::uint32_t index, Completion<Chunk> done) = 0;
    // Committed messages of `partition` with ids above `after`, in id order.
    virtual void list(PartitionId partition,
                      QueueId after,
                      std::size_t limit,
                      Completion<std::vector<Envelope>> done) = 0;
    // Counts up to `limit` messages of `partition`, from behind `from.to` on, into `from.summary`,
    // as of `now`; fewer when that has no room for more domains. Each step sees the queue of its
    // moment: a message whose due time changes between two may count twice, or not.
    virtual void summarize(PartitionId partition,
                           SummaryStep from,
                           std::size_t limit,
                           WallTime now,
                           Completion<SummaryStep> done) = 0;
    // Messages whose record could not be read and was set aside.
    virtual void damaged(PartitionId partition, Completion<std::vector<QueueId>> done) = 0;
    // Intents without an outcome.
    virtual void intents(PartitionId partition, Completion<std::vector<Intent>> done) = 0;
    // What Settle::remember kept. not_found: nothing, or Unremember came.
    virtual void outcome(QueueId id,
                         std::uint32_t attempt,
                         Completion<std::vector<RecipientOutcome>> done) = 0;

    // What open() found on disk.
    virtual std::vector<PartitionInfo> partitions() const = 0;
    virtual StoreStats stats() const = 0;
    // Messages of one partition. Any thread.
    virtual std::uint64_t count(PartitionId partition) const = 0;
    // Their octets, as they are sent; those of damaged records may count until the next start.
    virtual std::uint64_t bytes(PartitionId partition) const = 0;
    // False for ever after a failed write or sync.
    virtual bool healthy() const = 0;
};

}  // namespace posthorse::storage
