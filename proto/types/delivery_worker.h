// How the scheduler and delivery talk: the ports between stages 5 and 6.
//
// Place     DeliveryWorkers is implemented by daemon/deliver/delivery_pool.h and called by
//           daemon/schedule/scheduler.h; DeliveryEvents the other way round; node.cc joins them.
// Contract  A worker is one connection's slot at one destination. It lives from start() to
//           worker_gone(), or to job_ended() with WorkerAfter::gone. Each assign() is answered by
//           exactly one job_ended(). A worker without a job leaves when it is dismissed, or by
//           itself when it lingered long enough; one whose last words crossed an assign() takes
//           the job.
// Owner     Every call is made on the home executor.
#pragma once

#include <cstdint>
#include <string>

#include "proto/types/delivery_job.h"
#include "proto/types/ids.h"

namespace posthorse {

using WorkerId = StrongId<struct WorkerTag, std::uint64_t>;  // never reused by a process

// What becomes of a worker whose job ended.
enum class WorkerAfter : std::uint8_t { lingers, gone };

class DeliveryWorkers {
public:
    virtual ~DeliveryWorkers() = default;
    virtual void start(WorkerId worker, const std::string& destination) = 0;
    // Requires that the worker has no job.
    virtual void assign(WorkerId worker, DeliveryJob job) = 0;
    // Requires that the worker has no job.
    virtual void dismiss(WorkerId worker) = 0;
};

class DeliveryEvents {
public:
    virtual ~DeliveryEvents() = default;
    virtual void job_ended(WorkerId worker, JobResult result, WorkerAfter after) = 0;
    // Requires that the worker had no job.
    virtual void worker_gone(WorkerId worker) = 0;
};

}  // namespace posthorse
