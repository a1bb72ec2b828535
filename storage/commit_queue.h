// Grouped commits: the operations of all sessions, one batch and one sync for many.
//
// Place     The only writer of the database, driven by storage/record_store.h on one worker.
// Contract  Each round takes what has gathered since the last one, judges it in order (by
//           partition_book.h, then for room), and writes what passed as one batch. What is
//           durable-class (queue_store.h) is complete when a sync behind it is over; the rest of
//           the round does not wait for that, and a round of nothing but patient operations is not
//           synced for itself. A round takes at most `round_bytes_max`, so that a large body does
//           not hold up a small commit for long; and what looks at the disk (copy_batch.h, Mend)
//           waits for the next round when this one writes what it would look for. After a failed
//           write everything is refused: a failed sync is never tried again.
// Owner     The record store. submit() from any thread, the rest on the worker.
// Errors    fenced, full, io, cancelled: as queue_store.h says. They reach the completion.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proto/types/executor.h"
#include "storage/claim_table.h"
#include "storage/copy_batch.h"
#include "storage/key_value.h"
#include "storage/message_counts.h"
#include "storage/partition_book.h"
#include "storage/queue_record.h"
#include "storage/queue_store.h"
#include "storage/recovery.h"

namespace posthorse::storage {

class CommitQueue {
public:
    struct Fence {
        PartitionId partition;
        Epoch epoch;
    };
    struct Drop {
        PartitionId partition;
    };
    // A reader could not make sense of a message's record, or of its due key: look again, and set
    // it aside or drop the key if that is still so.
    struct Mend {
        QueueId id;
        std::optional<WallTime> due;  // of the due key that led there
    };

    // A write that is synced, to see that the disk still does that.
    struct Probe {};

    struct Settings {
        std::uint64_t disk_floor_bytes = 0;
        std::size_t round_bytes_max = 4 * 1024 * 1024;
        std::size_t patient_max = 64;             // that wait for a sync, before they get one
        std::function<void(std::string)> report;  // what operators should hear; runs at home
    };

    CommitQueue(KeyValue& disk,
                ClaimTable& claims,
                Executor& worker,
                Executor& home,
                Settings settings,
                const Recovered& recovered);

    void submit(Operation operation, Completion<> done);
    void submit(Fence fence, Completion<CopyState> done);
    void submit(Drop drop, Completion<> done);
    void submit(Probe probe, Completion<> done);
    void submit(Mend mend);
    // What is patient and waits for a sync gets one.
    void sync_patient();
    // What has not begun is cancelled, and so is all that follows.
    void close();

    StoreStats stats() const;
    MailAmount amount(PartitionId partition) const { return counts_.of(partition); }
    bool healthy() const { return !failed_ && disk_.healthy(); }

private:
    enum class Verdict { apply, already_applied, refused };
    struct Request {
        std::variant<Operation, Fence, Drop, Probe, Mend> what;
        Completion<> done;                  // none for Mend
        Completion<CopyState> fenced = {};  // instead, for Fence
        // What became of it.
        Verdict verdict = Verdict::refused;
        bool durable = false;  // complete when it is synced
        Result<void> result = {};
        CopyState state = {};  // for Fence
        Effect effect = {};
        std::string report = {};  // of Mend: what operators should hear
    };
    // Large, and handed on often: each stays where it was made.
    using Requests = std::list<Request>;
    struct Round {
        Requests requests;
        std::vector<Write> writes;
        std::uint64_t room_bytes = 0;
    };

    void enqueue(Request request);
    bool is_closed();
    void cancel(Requests all);
    void run_round();
    Requests take();
    static bool goes_alone(const Request& request);
    void judge(Request& request, Round& round);
    void judge_one(Request& request, const Operation& operation, Round& round);
    void judge_one(Request& request, const Fence& fence, Round& round);
    void judge_one(Request& request, const Drop& drop, Round& round);
    void judge_one(Request& request, const Probe& probe, Round& round);
    void judge_one(Request& request, const Mend& mend, Round& round);
    void refuse(Request& request, const Operation& operation, Error why);
    std::optional<Error> take_room(const Operation& operation, Round& round) const;
    void write(Round& round);
    static Requests take_durable(Requests& all);
    bool must_sync() const;
    void sync();
    void refuse(Requests& all, const Error& error);
    void make_visible(const Requests& all);
    void make_visible(const Request& request, const Operation& operation);
    void make_visible(const Request& request, const Fence& fence);
    void make_visible(const Request& request, const Drop& drop);
    void make_visible(const Request&, const Probe&) {}
    void make_visible(const Request& request, const Mend& mend);
    void add(PartitionId partition, const Effect& effect);
    static void answer(Request& request);
    void complete(Requests all);
    void set_aside(const Mend& mend, Request& request, Round& round);
    void report(std::string what);

    KeyValue& disk_;
    ClaimTable& claims_;
    Executor& worker_;
    Executor& home_;
    const Settings settings_;

    std::mutex mutex_;
    Requests waiting_;           // mutex_
    bool round_posted_ = false;  // mutex_
    bool closed_ = false;        // mutex_

    PartitionBook book_;  // worker only
    Requests unsynced_;   // worker only: written, and complete when a sync is over

    std::atomic<bool> some_unsynced_ = false;
    std::atomic<bool> failed_ = false;
    MessageCounts counts_;
    std::atomic<std::uint64_t> set_aside_ = 0;
    std::atomic<std::uint64_t> syncs_ = 0;
    std::atomic<std::uint64_t> synced_operations_ = 0;
};

}  // namespace posthorse::storage
