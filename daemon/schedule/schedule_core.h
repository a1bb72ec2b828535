// Which message goes when over which connection: the scheduler without clock, queue or sockets.
//
// Place     Stage 5, driven by scheduler.h on the home executor. docs/life-of-a-message.md. Here
//           messages, destinations and workers meet: when a message comes back is due_times.h, what
//           became of it claim_results.h, a destination and its jobs destination_queues.h.
// Contract  Events in, effects out, in order; same events, same effects.
//           A message that was offered ends in exactly one Park, Report or forget(). What some
//           jobs of it delivered is reported `record_after` before, while others go on: who takes
//           the message over must not be in doubt about it.
//           Its pending recipients are grouped by destination into jobs; every destination has a
//           queue of its own, a window of concurrency (congestion.h) and a share of the active set.
//           Jobs go to *workers*, each one connection's slot at one destination
//           (proto/types/delivery_worker.h).
//           Fairness: a destination without a worker comes before one that has some; then round
//           robin. Of connections and of the active set a destination may take what it has not
//           yet of the room that is left free (so at most half of all, and some is always left
//           for others). At the limit, workers that idle, or had their turn, make room.
//           In the queue of a destination mail goes in the order in which it came; of a higher
//           priority (RFC 6710) as if it had come `priority_step` earlier for each level, so that
//           none waits for ever for those that come later.
//           What exceeds the share, or waits for a destination that is down, is parked.
// Owner     scheduler.h. Not thread-safe.
// Errors    Misuse is a bug and aborts (PH_ASSERT).
// Bounds    Jobs: active_max. Workers: connections_max. Destinations: those with jobs or workers,
//           and at most `remembered_max` others, for minutes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/schedule/backoff.h"
#include "daemon/schedule/claim_results.h"
#include "daemon/schedule/destination_queues.h"
#include "daemon/schedule/route_table.h"
#include "proto/types/delivery_worker.h"
#include "proto/types/time.h"

namespace posthorse::schedule {

struct Limits {
    std::uint32_t active_max = 20000;  // jobs in memory
    std::uint32_t connections_max = 200;
    std::uint32_t connections_per_destination_max = 20;
    RetryBounds retry;
};

struct Now {
    WallTime wall{};
    BootTime boot{};
};

// --- effects, to be carried out in order
struct StartWorker {
    WorkerId worker;
    std::string destination;
};
struct Assign {
    WorkerId worker;
    DeliveryJob job;
};
struct Dismiss {
    WorkerId worker;
};
struct Park {
    QueueId id;
    WallTime due{};  // in the past: as it was
};
struct Report {  // once it goes on and at most once it does not
    Ended ended;
};
using Effect = std::variant<StartWorker, Assign, Dismiss, Park, Report>;
using Effects = std::vector<Effect>;

// Why a message is taken back before its time.
enum class Withdrawal : std::uint8_t {
    removed,  // it exists no more
    held,     // it goes back to the queue
};

class ScheduleCore {
public:
    static constexpr std::size_t recipients_per_job_max = 100;  // RFC 5321 section 4.5.3.1.8
    static constexpr std::uint32_t jobs_per_turn = 10;
    static constexpr std::size_t remembered_max = DestinationQueues::remembered_max;
    static constexpr Duration priority_step = std::chrono::minutes{1};
    // Short beside a slow server's reply; what ends faster is settled in one piece.
    static constexpr Duration record_after = std::chrono::seconds{1};

    // `seed` makes the jitter.
    ScheduleCore(Limits limits, RouteTable routes, std::uint64_t seed);
    ScheduleCore(const ScheduleCore&) = delete;
    ScheduleCore& operator=(const ScheduleCore&) = delete;

    // Counts for what is offered from now on.
    void set_routes(RouteTable routes) { routes_ = std::move(routes); }

    // When a message that is not in the queue yet is to be tried first: later than it says when all
    // its destinations would only put it off. To be written so, once, instead of twice.
    WallTime first_due(const Envelope& envelope, Now now);
    // A claimed message. Without room, or before it is due, it goes back as it was. When the time
    // has come that its sender named (RFC 2852), it is reported without an attempt.
    void offer(Envelope envelope, Now now, Effects& out);
    void job_ended(WorkerId worker, JobResult result, WorkerAfter after, Now now, Effects& out);
    // A worker without a job is no more.
    void worker_gone(WorkerId worker, Now now, Effects& out);
    // When record() has something to do.
    std::optional<BootTime> record_at() const;
    // Reports what was delivered for long enough of messages that go on.
    void record(Now now, Effects& out);
    // An operator removed or held the message. A job of it that runs goes on; it is told by
    // may_send_dot(), and a Report follows. Ids that are not active are ignored.
    void forget(QueueId id, Withdrawal why, Now now, Effects& out);
    // An operator wants everything tried now: nothing counts as down.
    void revive(Now now, Effects& out);
    // No new jobs: what does not run goes back as it was; what runs ends in Reports.
    void stop(Now now, Effects& out);
    // Goes on after stop().
    void go_on() { stopping_ = false; }

    // How many more messages it would take; 0 when full or stopping.
    std::size_t wanted() const;
    // After stop(): nothing is active any more.
    bool drained() const { return stopping_ && active_.empty(); }

    struct Counters {
        std::size_t active = 0;   // messages
        std::size_t waiting = 0;  // jobs without a worker
        std::size_t running = 0;  // jobs at workers
        std::size_t workers = 0;
        std::size_t destinations = 0;  // in memory
        std::size_t down = 0;
    };
    Counters counters() const;

private:
    using Queue = DestinationQueue;

    struct Message {
        Envelope envelope;
        std::vector<Queue*> waiting_at;  // one entry for each waiting job
        std::uint32_t jobs = 0;          // waiting and running
        std::uint32_t attempts = 0;      // begun or planned since the claim
        ClaimResults results;
        std::optional<BootTime> record_at;  // its entry in unrecorded_
        WallTime put_off = never;           // earliest return of recipients that were put off
    };
    struct Worker {
        Queue* queue = nullptr;
        std::optional<Job> job;
        std::uint32_t jobs_done = 0;
        bool leaving = false;
    };
    using Active = std::map<QueueId, Message>;

    // Messages, and their jobs at destinations.
    using Batches = std::map<std::string, std::vector<std::uint32_t>>;
    Batches pending_by_destination(const Envelope& envelope) const;
    void take(Message& message, Queue& queue, const std::vector<std::uint32_t>& batch, Now now);
    // When a job for `queue` may come back; nullopt: it may go now.
    std::optional<WallTime> put_off(const Queue& queue, Now now);
    void add_job(Message& message,
                 Queue& queue,
                 std::vector<std::uint32_t> recipients,
                 BootTime now);
    void remove_waiting(Message& message, Queue& queue, std::deque<Job>::iterator job);
    void park_waiting(Queue& queue, Now now, Effects& out);
    // Ends the message when no job of it is left.
    void settle_if_done(Active::iterator message, Now now, Effects& out);
    WallTime next_due(const Message& message, WallTime now);
    void learn(
        Queue& queue, DestinationHealth health, const Message& message, Now now, Effects& out);

    // Workers.
    void start_workers(Effects& out);
    void start_worker(Queue& queue, Effects& out);
    void assign(WorkerId id, Worker& worker, Effects& out);
    void reassign(WorkerId id, Worker& worker, Effects& out);
    void dismiss(WorkerId id, Worker& worker, Effects& out);
    void make_room(Effects& out);
    void remove_worker(WorkerId id, Now now);

    std::size_t free_connections() const;
    std::uint32_t random();
    Duration jitter(Duration up_to);

    Limits limits_;
    RouteTable routes_;
    std::uint64_t random_state_;
    bool stopping_ = false;

    Active active_;
    std::deque<std::pair<BootTime, QueueId>> unrecorded_;  // some may have ended meanwhile
    DestinationQueues queues_;
    std::map<WorkerId, Worker> workers_;
    std::uint64_t last_worker_ = 0;
    std::size_t jobs_ = 0;     // waiting and running
    std::size_t leaving_ = 0;  // workers that were dismissed
};

}  // namespace posthorse::schedule
