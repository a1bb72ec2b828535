// How delivery, reports and the queue meet: calls that hop to the queue's executor and back.
//
// Place     Wiring, used by node.cc.
#pragma once

#include "daemon/deliver/connection.h"
#include "daemon/report/reporter.h"
#include "daemon/runtime/metrics.h"
#include "daemon/runtime/shard.h"
#include "replication/replicated_queue.h"

namespace posthorse {

// Delivery runs on every shard, the queue on home.
deliver::MessagePort message_port(runtime::Shard& home, replication::ReplicatedQueue& queue);

// What the queue itself finds out about attempts is reported like what this node's attempts met.
void report_doubts(replication::ReplicatedQueue& queue,
                   report::Reporter& reporter,
                   const Clock& clock);

// A message that was held because its delivery ends nodes, or stalls, is logged and counted.
void report_poison(replication::ReplicatedQueue& queue, runtime::Metrics& metrics);

}  // namespace posthorse
