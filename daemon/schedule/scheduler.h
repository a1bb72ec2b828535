// Drives the scheduler's core: claims what is due, hands out jobs, hands on what ended.
//
// Place     Stage 5, on the home executor, between ReplicatedQueue (in), the delivery pool (jobs)
//           and daemon/report (out).
// Contract  Every claimed message goes back by exactly one park() or, through `report`, settle().
//           Claims only what there is room for, a batch at a time; between batches other work of
//           the home executor runs. Sleeps until the queue's next due time or its wake-up.
// Owner     node.cc. Everything it refers to must outlive it; drained before it is destroyed, or
//           the queue is gone for good. Home executor only.
// Errors    A claim that fails is tried again a second later.
#pragma once

#include <deque>
#include <memory>

#include <boost/asio/steady_timer.hpp>

#include "daemon/runtime/log.h"
#include "daemon/runtime/shard.h"
#include "daemon/schedule/schedule_core.h"
#include "proto/types/function.h"
#include "replication/replicated_queue.h"

namespace posthorse::schedule {

class Scheduler final : public DeliveryEvents {
public:
    // Settles what ended, records what goes on; calls the second argument when that is done,
    // whatever came of it.
    using ReportCall = UniqueFunction<void(Ended, UniqueFunction<void()>)>;

    struct Settings {
        Limits limits;
        RouteTable routes;
        std::uint64_t seed = 0;  // of the jitter
    };

    Scheduler(runtime::Shard& home,
              const Clock& clock,
              replication::ReplicatedQueue& queue,
              DeliveryWorkers& workers,
              ReportCall report,
              Settings settings);
    ~Scheduler() override;
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    // Begins to claim. Requires that the queue has started.
    void start();
    // Before a message is accepted: ScheduleCore::first_due().
    WallTime first_due(const Envelope& envelope) { return core_.first_due(envelope, now()); }
    // A message that was accepted just now and is claimed still.
    void offer(Envelope envelope);
    // An operator removed or held the message.
    void forget(QueueId id, Withdrawal why);
    // An operator wants everything tried now: destinations that are down too.
    void revive();
    void set_routes(RouteTable routes) { core_.set_routes(std::move(routes)); }
    // No new jobs. `drained` is called once, when every message is back in the queue or settled.
    void stop(UniqueFunction<void()> drained);
    // Goes on after stop(): the node does not drain any more.
    void go_on();

    void job_ended(WorkerId worker, JobResult result, WorkerAfter after) override;
    void worker_gone(WorkerId worker) override;

    ScheduleCore::Counters counters() const { return core_.counters(); }

private:
    Now now() const { return {clock_.wall(), clock_.boot()}; }
    void pump();
    void pump_when_there_is_room();
    void claimed(std::size_t limit, Result<std::vector<Envelope>> due);
    void sleep_until_due();
    void wake_by(WallTime due);
    void wake_after(Duration delay);
    void carry_out(Effects effects);
    void carry_out_next();
    void record_in_time();
    void tell_when_drained();
    // Wraps a callback so that it does nothing once the scheduler is gone.
    template <class Call>
    auto while_alive(Call call);

    runtime::Shard& home_;
    const Clock& clock_;
    replication::ReplicatedQueue& queue_;
    DeliveryWorkers& workers_;
    ReportCall report_;
    std::uint32_t active_max_;
    ScheduleCore core_;
    runtime::asio::steady_timer timer_;
    runtime::asio::steady_timer record_timer_;
    runtime::log::RateLimit failures_logged_;
    std::optional<BootTime> wake_at_;    // when timer_ fires
    std::optional<BootTime> record_at_;  // when record_timer_ fires
    std::deque<Effect> effects_;
    bool carrying_out_ = false;
    bool claiming_ = false;
    bool starved_ = false;       // there was no room when a claim was wanted
    std::size_t reporting_ = 0;  // messages that report_ has not answered for
    UniqueFunction<void()> drained_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace posthorse::schedule
