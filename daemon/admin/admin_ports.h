// What the admin API asks of the rest of the node beside the queue: node.cc joins these to the
// stages.
//
// Contract  Every function is called on the home executor, which runs until the server has stopped.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "daemon/admin/pool_queue.h"
#include "daemon/aside/aside_copies.h"
#include "daemon/runtime/log.h"
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

// As the functions of aside::Aside with these names. The defaults are a node that never set
// anything aside.
struct AsidePorts {
    std::function<void(std::string only, aside::Place, std::size_t limit, Completion<aside::Page>)>
        list =
            [](const std::string&, const aside::Place&, std::size_t, Completion<aside::Page> done) {
                done(aside::Page{});
            };
    using Founds = std::vector<aside::Found>;
    std::function<void(std::string only, std::vector<QueueId>, Completion<Founds>)> find =
        [](const std::string&, const std::vector<QueueId>&, Completion<Founds> done) {
            done(Founds{});
        };
    using Dones = std::vector<aside::Done>;
    std::function<void(aside::Order, Completion<Dones>)> act =
        [](const aside::Order&, Completion<Dones> done) { done(Dones{}); };
    std::function<void(Completion<>)> tidy = [](Completion<> done) { done({}); };
    // The record of what an operator changed.
    std::function<void(runtime::log::Fields)> audit = [](runtime::log::Fields fields) {
        runtime::log::info("operator_action", fields);
    };
};

// Everything that a call works with. All references outlive the server.
struct AdminContext {
    Executor& home;
    const Clock& clock;
    const PoolQueue& queue;
    AdminPorts ports;
    PoolPorts pool = {};
    AsidePorts aside = {};
};

}  // namespace posthorse::admin
