// What the admin API asks of the rest of the node: node.cc joins these to the stages.
//
// Contract  Every function is called on the home executor, which runs until the server has stopped.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proto/types/executor.h"
#include "proto/types/ids.h"
#include "proto/types/result.h"
#include "replication/replicated_queue.h"

namespace posthorse::admin {

// The node's figures beside those that the queue counts itself.
struct StatusValues {
    NodeId node;
    std::string host_name;
    std::string release;
    WallTime started_at{};
    std::string not_ready_why;  // empty: ready
    std::uint64_t set_aside = 0;
    std::uint64_t disk_free_bytes = 0;
    bool accepting = true;
    std::uint64_t incoming_sessions = 0;
    std::uint64_t outgoing_connections = 0;
};

struct AdminPorts {
    std::function<StatusValues()> status;
    // Is the message handed out for delivery?
    std::function<bool(QueueId)> delivering;
    // Fails the pending recipients of a message and tells its sender. Completes when that is
    // durable.
    std::function<void(QueueId, std::string why, Completion<> done)> bounce;
    // Reads maps, keys and certificates anew; returns what could not be read.
    std::function<std::vector<std::string>()> reload;
};

// Everything that a call works with. All references outlive the server.
struct AdminContext {
    Executor& home;
    const Clock& clock;
    replication::ReplicatedQueue& queue;
    AdminPorts ports;
};

}  // namespace posthorse::admin
