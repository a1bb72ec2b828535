// How delivery, reports and the queue meet: calls that hop to the queue's executor and back.
//
// Place     Wiring, used by node.cc.
#pragma once

#include "daemon/deliver/connection.h"
#include "daemon/report/reporter.h"
#include "daemon/runtime/shard.h"
#include "replication/replicated_queue.h"

namespace posthorse {

// Delivery runs on every shard, the queue on home.
deliver::MessagePort message_port(runtime::Shard& home, replication::ReplicatedQueue& queue);

// What the queue itself finds out about attempts is reported like what this node's attempts met.
void report_doubts(replication::ReplicatedQueue& queue,
                   report::Reporter& reporter,
                   const Clock& clock);

}  // namespace posthorse
