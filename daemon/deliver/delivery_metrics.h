// What delivery counts.
//
// Contract  Any thread.
// Owner     delivery_pool.h; `metrics` outlives it.
#pragma once

#include "daemon/runtime/metrics.h"
#include "proto/types/delivery_job.h"

namespace posthorse::deliver {

class DeliveryMetrics {
public:
    explicit DeliveryMetrics(runtime::Metrics& metrics);

    void attempt_ended(const JobResult& result, WallTime now);
    void connection_opened(bool secure);
    void connection_failed() { failed_.add(); }

private:
    runtime::Counter delivered_, deferred_, refused_, in_doubt_;
    runtime::Counter in_clear_, secure_, failed_;
    runtime::Histogram latency_;
};

}  // namespace posthorse::deliver
