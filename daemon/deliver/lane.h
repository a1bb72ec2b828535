// The workers of one shard: each takes its jobs one after another over a connection of its own.
//
// Place     Stage 6, under delivery_pool.h, which speaks to it from the home executor by posts.
// Contract  As proto/types/delivery_worker.h, seen from the other side. A worker opens its
//           connection for a job, keeps it for the next while it lingers, and changes it after
//           `messages_per_connection_max` messages. A connection that the server closed while it
//           idled costs no attempt: the job goes over a fresh one.
//           A worker leaves only with home's leave: a job that is on its way is taken.
// Owner     delivery_pool.h. Methods are called on the shard; destroyed only after joined().
// Errors    Every job ends in an outcome for each recipient.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "daemon/deliver/connection.h"
#include "daemon/deliver/delivery_metrics.h"
#include "daemon/deliver/destination_finder.h"
#include "daemon/dns/dns_resolver.h"
#include "daemon/runtime/task_group.h"
#include "proto/types/delivery_worker.h"

namespace posthorse::deliver {

// What a lane says to home; each call hops there.
struct LaneReports {
    std::function<void(WorkerId, JobResult, WorkerAfter)> job_ended;
    // May the worker leave? false: a job is on its way to it. true: it is gone.
    std::function<void(WorkerId, Completion<bool>)> leave;
};

struct LaneSettings {
    Connection::Settings connection;
    AddressPolicy addresses;
    dns::DnsResolver::Settings dns;
    std::uint32_t messages_per_connection_max = 100;
    Duration idle_connection = std::chrono::seconds{5};
};

class Lane {
public:
    // The references must outlive the lane.
    Lane(runtime::Shard& shard,
         const LaneSettings& settings,
         std::shared_ptr<runtime::asio::ssl::context> tls,
         const MessagePort& messages,
         const Clock& clock,
         DeliveryMetrics& metrics,
         LaneReports reports);
    ~Lane();
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    void start(WorkerId id, std::string destination);
    void assign(WorkerId id, DeliveryJob job);
    void dismiss(WorkerId id);
    // Ends what is under way: jobs end deferred or in doubt, and further ones at once.
    void abort();
    void lease_lost();
    // Calls `done`, on the shard, when no worker is left.
    void joined(UniqueFunction<void()> done);

    runtime::Shard& shard() { return shard_; }

private:
    struct Worker;
    template <class T = void>
    using Task = runtime::asio::awaitable<T>;

    Task<> run(WorkerId id, Worker* worker);
    Task<bool> wait_for_job(WorkerId id, Worker* worker);
    Task<JobResult> perform(Worker* worker, DeliveryJob job);
    Task<JobResult> perform_safely(Worker* worker, DeliveryJob job);
    Task<std::optional<Refusal>> open(Worker* worker);
    JobResult refused(const DeliveryJob& job, const Refusal& refusal) const;

    runtime::Shard& shard_;
    const LaneSettings& settings_;
    std::shared_ptr<runtime::asio::ssl::context> tls_;
    const MessagePort& messages_;
    const Clock& clock_;
    DeliveryMetrics& metrics_;
    LaneReports reports_;
    dns::DnsResolver dns_;
    DestinationFinder finder_;
    std::map<WorkerId, std::unique_ptr<Worker>> workers_;
    bool aborted_ = false;
    runtime::TaskGroup tasks_;
};

}  // namespace posthorse::deliver
