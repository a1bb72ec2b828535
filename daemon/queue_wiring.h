// How delivery, reports, the schedule and the queue meet: calls that hop to another executor and
// back.
//
// Place     Wiring, used by node.cc.
#pragma once

#include "daemon/deliver/connection.h"
#include "daemon/report/reporter.h"
#include "daemon/runtime/metrics.h"
#include "daemon/runtime/shard.h"
#include "daemon/runtime/workers.h"
#include "daemon/schedule/scheduler.h"
#include "daemon/sign/signer.h"
#include "replication/replicated_queue.h"

namespace posthorse {

// Delivery runs on every shard, the queue on home.
deliver::MessagePort message_port(runtime::Shard& home, replication::ReplicatedQueue& queue);

// What an operator removes or holds leaves the schedule; what he wants tried now is, and with it
// the destinations that are down.
void heed_operators(replication::ReplicatedQueue& queue,
                    schedule::Scheduler& scheduler,
                    runtime::Shard& home);

// Notices are signed as other mail is, on a worker: a signature takes a millisecond, too long for
// an event loop. Answers on home.
report::Reporter::Sign notice_signer(const sign::Signer& signer,
                                     runtime::Workers& workers,
                                     runtime::Shard& home);

// What the queue itself finds out about attempts is reported like what this node's attempts met;
// which ones are in doubt, is logged.
void report_doubts(replication::ReplicatedQueue& queue,
                   report::Reporter& reporter,
                   const Clock& clock);

// A message that was held because its delivery ends nodes, or stalls, is logged and counted.
void report_poison(replication::ReplicatedQueue& queue, runtime::Metrics& metrics);

// Mail of a partition that this node owns and cannot use is stuck: why, is logged.
void report_stuck_partitions(replication::ReplicatedQueue& queue, const Clock& clock);

}  // namespace posthorse
