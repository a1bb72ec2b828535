// What the admin API asks of the rest of the node beside the queue: node.cc joins these to the
// stages.
//
// Contract  Every function is called on the home executor, which runs until the server has stopped.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "daemon/admin/pool_queue.h"
#include "proto/types/executor.h"
#include "proto/types/ids.h"
#include "proto/types/result.h"
#include "replication/core/control_core.h"
#include "replication/replicated_queue.h"

namespace posthorse::admin {

// The node's figures.
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
    replication::QueueCounters queue;
};

struct AdminPorts {
    std::function<StatusValues()> status;
    // Reads maps, keys and certificates anew; returns what could not be read.
    std::function<std::vector<std::string>()> reload;
};

// The pool as this node knows it.
struct PoolView {
    replication::PoolState committed;    // empty: it has no pool yet
    replication::ControlStatus status;   // of this node, and what it hears
    std::string name;                    // of this node: pool.name
    std::vector<std::string> set_aside;  // data directories that the pool did not take back
};

// The defaults are a node that never finds a pool.
struct PoolPorts {
    std::function<PoolView()> view = [] { return PoolView{}; };
    // Asks the leader; completes when the change is committed, refused, or not known to be either.
    std::function<void(replication::Change, Completion<>)> propose = [](const replication::Change&,
                                                                        Completion<> done) {
        done(Error{Errc::unavailable, "this node has no pool"});
    };
    // Begins the pool anew with this node alone; names all the other members.
    std::function<Result<void>(const std::vector<NodeId>& others)> begin_without =
        [](const std::vector<NodeId>&) {
            return Result<void>{Error{Errc::unavailable, "this node has no pool"}};
        };
};

// Everything that a call works with. All references outlive the server.
struct AdminContext {
    Executor& home;
    const Clock& clock;
    const PoolQueue& queue;
    AdminPorts ports;
    PoolPorts pool = {};
};

}  // namespace posthorse::admin
