// All deliveries under way: workers on every shard, spoken to from home.
//
// Place     Stage 6: the scheduler's DeliveryWorkers; made by node.cc.
// Contract  As proto/types/delivery_worker.h. Workers are spread over the shards in turn, so that
//           one busy destination uses every core.
//           To stop: the scheduler stops; what is under way ends, or abort() ends it when the
//           budget is spent; then join() says when all connections are closed.
// Owner     node.cc. Home executor only. Destroyed after join() has answered, or never started.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "daemon/config/config.h"
#include "daemon/deliver/lane.h"
#include "daemon/runtime/metrics.h"
#include "proto/types/delivery_worker.h"

namespace posthorse::deliver {

// The parts of the configuration that delivery uses. `own_names` as AddressPolicy.
LaneSettings lane_settings(const config::Config& config, std::vector<std::string> own_names);

class DeliveryPool final : public DeliveryWorkers {
public:
    // Throws std::runtime_error when the DNS servers are no addresses.
    DeliveryPool(runtime::Shard& home,
                 const std::vector<runtime::Shard*>& shards,
                 LaneSettings settings,
                 MessagePort messages,
                 const Clock& clock,
                 runtime::Metrics& metrics);
    ~DeliveryPool() override;
    DeliveryPool(const DeliveryPool&) = delete;
    DeliveryPool& operator=(const DeliveryPool&) = delete;

    // Who hears of the ends of jobs. Before the first start(); must outlive the pool's workers.
    void report_to(DeliveryEvents& events) { events_ = &events; }

    void start(WorkerId worker, const std::string& destination) override;
    void assign(WorkerId worker, DeliveryJob job) override;
    void dismiss(WorkerId worker) override;

    // Ends what is under way now: deferred, or in doubt after the final dot.
    void abort();
    // This node may not act any more: what has not left it must not leave it later.
    void lease_lost();
    // Calls `done` on home when no worker is left. Nothing may be started any more.
    void join(UniqueFunction<void()> done);

private:
    struct Seat {
        Lane* lane = nullptr;
        bool busy = false;  // a job is on its way to the worker, with it, or on its way back
    };
    void job_ended(WorkerId worker, JobResult result, WorkerAfter after);
    bool leave(WorkerId worker);

    runtime::Shard& home_;
    LaneSettings settings_;
    MessagePort messages_;
    DeliveryMetrics metrics_;
    DeliveryEvents* events_ = nullptr;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::size_t next_lane_ = 0;
    std::map<WorkerId, Seat> seats_;
};

}  // namespace posthorse::deliver
