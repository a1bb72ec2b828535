// The destinations that have mail to take now, or had minutes ago, each with the queue of its jobs.
//
// Place     Under schedule_core.h, which moves jobs and workers in and out.
// Contract  Pure. Whoever changes a queue's jobs, workers or window calls update(); whoever takes
//           the last of its jobs and workers calls let_rest(), after which the queue may be gone.
// Owner     schedule_core.h. A queue stays where it is as long as it lives.
// Bounds    Queues with jobs or workers; at most `remembered_max` others, for minutes.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/schedule/backoff.h"
#include "daemon/schedule/congestion.h"
#include "proto/types/delivery_worker.h"
#include "proto/types/ids.h"
#include "proto/types/time.h"

namespace posthorse::schedule {

// Recipients of one message at one destination.
struct Job {
    QueueId id;
    std::uint32_t attempt = 0;
    std::vector<std::uint32_t> recipients;
    BootTime rank{};     // of those that wait at one destination the lowest goes first
    bool probe = false;  // sent to see whether the destination is up again
};

struct DestinationQueue {
    using Line = std::list<DestinationQueue*>;
    using Rested = std::multimap<BootTime, DestinationQueue*>;

    std::string name;
    Congestion congestion;
    std::deque<Job> waiting{};
    std::uint32_t running = 0;  // jobs at workers
    std::uint32_t workers = 0;
    std::vector<WorkerId> idle{};
    std::string last_refusal{};  // why it was unreachable last

    // Where it stands, for DestinationQueues alone.
    Line* line = nullptr;
    Line::iterator place{};  // in `line`
    std::optional<Rested::iterator> rest{};
};

class DestinationQueues {
public:
    using Line = DestinationQueue::Line;
    static constexpr std::size_t remembered_max = 10000;

    DestinationQueues(std::uint32_t window_max, RetryBounds retry)
        : window_max_(window_max), retry_(retry) {}
    DestinationQueues(const DestinationQueues&) = delete;
    DestinationQueues& operator=(const DestinationQueues&) = delete;

    DestinationQueue& of(const std::string& destination);
    // Null: nothing is known of it.
    const DestinationQueue* find(const std::string& destination) const;
    const std::map<std::string, DestinationQueue>& all() const { return queues_; }
    std::map<std::string, DestinationQueue>& all() { return queues_; }

    // Those with jobs and no worker, and those with jobs, workers, and a window for more. A queue
    // comes in at the end; whose turn is over may be moved there.
    Line& hungry() { return hungry_; }
    Line& growing() { return growing_; }

    void update(DestinationQueue& queue);
    // Drops the queue, or remembers it for a while, when nothing is at it.
    void let_rest(DestinationQueue& queue, BootTime now);
    void expire(BootTime now);

private:
    std::uint32_t window_max_;
    RetryBounds retry_;
    std::map<std::string, DestinationQueue> queues_;
    Line hungry_;
    Line growing_;
    DestinationQueue::Rested rested_;  // by the time until which they are remembered
};

}  // namespace posthorse::schedule
