// From the configuration to what each stage wants of it. Pure.
//
// Place     node.cc alone, which owns the stages.
#pragma once

#include <optional>
#include <string>

#include "daemon/admin/admin_server.h"
#include "daemon/config/config.h"
#include "daemon/report/reporter.h"
#include "daemon/schedule/scheduler.h"
#include "replication/replicated_queue.h"

namespace posthorse {

replication::ReplicatedQueue::Settings queue_settings(const config::Config& config);
schedule::Scheduler::Settings scheduler_settings(const config::Config& config,
                                                 schedule::RouteTable routes);
report::Reporter::Settings reporter_settings(const config::Config& config, const NodeId& self);
admin::Operators operators_from_afar(const config::Admin& config);
// Whether the setting is one of those that it is made of.
bool is_of_operators(const std::string& key);
// nullopt: operators use the socket alone.
std::optional<admin::AdminPort> admin_port(const config::Admin& config, runtime::Metrics& metrics);

}  // namespace posthorse
