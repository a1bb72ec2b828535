// What this node's part asks of the node: node.cc joins these to the queue and the reporter.
//
// Contract  Every function is called on the home executor, which runs until the servers have
//           stopped.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "daemon/runtime/log.h"
#include "proto/types/envelope.h"
#include "proto/types/result.h"
#include "replication/replicated_queue.h"

namespace posthorse::admin {

struct QueuePorts {
    // As the functions of ReplicatedQueue with these names.
    std::function<void(QueueId after, std::size_t limit, Completion<std::vector<Envelope>>)> list;
    std::function<void(replication::SummaryPlace,
                       storage::QueueSummary so_far,
                       std::size_t limit,
                       Completion<replication::Summarized>)>
        summarize;
    std::function<void(QueueId, Completion<Envelope>)> find;
    std::function<void(QueueId, std::uint32_t index, Completion<Chunk>)> chunk;
    std::function<void(QueueId, replication::Action, std::string why, Completion<Envelope>)> act;
    // Has this node taken the partition up, so that list() and find() see all of it?
    std::function<bool(PartitionId)> owns;
    // Is the message handed out for delivery?
    std::function<bool(QueueId)> delivering;
    // Fails the pending recipients of a message and tells its sender. Completes when that is
    // durable.
    std::function<void(QueueId, std::string why, Completion<> done)> bounce;
    // The record of what an operator changed.
    std::function<void(runtime::log::Fields)> audit = [](runtime::log::Fields fields) {
        runtime::log::info("operator_action", fields);
    };
};

// All but `bounce`; the record goes to the log. `queue` must outlive them.
QueuePorts queue_ports(replication::ReplicatedQueue& queue);

}  // namespace posthorse::admin
