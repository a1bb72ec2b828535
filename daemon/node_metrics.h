// The figures that stages count anyway, asked for when somebody scrapes.
//
// Contract  The references outlive `metrics`' last text(). Scrapes run on home.
#pragma once

#include "daemon/runtime/metrics.h"
#include "daemon/schedule/scheduler.h"
#include "replication/replicated_queue.h"
#include "storage/queue_store.h"

namespace posthorse {

void export_figures(runtime::Metrics& metrics,
                    replication::ReplicatedQueue& queue,
                    const storage::QueueStore& store,
                    const schedule::Scheduler& scheduler);

}  // namespace posthorse
