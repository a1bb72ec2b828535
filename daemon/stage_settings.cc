#include "daemon/stage_settings.h"

#include "daemon/runtime/system_clock.h"
#include "replication/core/lease.h"

namespace posthorse {
namespace {

replication::InDoubtPolicy in_doubt_policy(const std::string& name) {
    if (name == "hold") return replication::InDoubtPolicy::hold;
    if (name == "bounce") return replication::InDoubtPolicy::bounce;
    return replication::InDoubtPolicy::resend;
}

}  // namespace

replication::ReplicatedQueue::Settings queue_settings(const config::Config& config) {
    replication::ReplicatedQueue::Settings settings;
    settings.in_doubt = in_doubt_policy(config.queue.in_doubt);
    settings.in_doubt_wait = config.queue.in_doubt_wait;
    settings.poison_attempts = config.queue.poison_attempts;
    settings.poison_spread = config.queue.min_retry_age;
    settings.when_short = config.pool.when_short == "refuse" ? replication::ShortPolicy::refuse
                                                             : replication::ShortPolicy::degrade;
    settings.heal_bytes_per_second = config.pool.heal_bytes_per_second;
    settings.drift_margin = replication::drift_margin(config.pool.lease_ttl);
    settings.random = [] { return static_cast<std::uint32_t>(runtime::random_u64()); };
    return settings;
}

schedule::Scheduler::Settings scheduler_settings(const config::Config& config,
                                                 schedule::RouteTable routes) {
    schedule::Scheduler::Settings settings;
    settings.limits = {
        .active_max = config.delivery.active_max,
        .connections_max = config.delivery.connections_max,
        .connections_per_destination_max = config.delivery.connections_per_destination_max,
        .retry = {config.queue.min_retry_age, config.queue.max_retry_age}};
    settings.routes = std::move(routes);
    settings.seed = runtime::random_u64();
    return settings;
}

report::Reporter::Settings reporter_settings(const config::Config& config, const NodeId& self) {
    report::Reporter::Settings settings;
    settings.node = self;
    settings.notices = {config.host_name, config.queue.bounce_lifetime};
    settings.in_doubt = in_doubt_policy(config.queue.in_doubt);
    settings.addresses =
        config.log.mask_addresses ? report::Addresses::masked : report::Addresses::shown;
    return settings;
}

admin::Operators operators_from_afar(const config::Admin& config) {
    return {config.readers, config.operators, config.admins};
}

bool is_of_operators(const std::string& key) {
    return key == "admin.readers" || key == "admin.operators" || key == "admin.admins";
}

std::optional<admin::AdminPort> admin_port(const config::Admin& config, runtime::Metrics& metrics) {
    if (config.address.empty()) return std::nullopt;
    return admin::AdminPort{.address = config.address,
                            .port = config.port,
                            .files = {config.ca_file, config.certificate_file, config.key_file},
                            .operators = operators_from_afar(config),
                            .metrics = metrics};
}

}  // namespace posthorse
