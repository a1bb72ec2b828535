#include "daemon/control_wiring.h"

#include "daemon/config/etcd_endpoint.h"
#include "daemon/node.h"
#include "daemon/pool/advertise.h"
#include "daemon/pool/control_choice.h"
#include "daemon/runtime/log.h"
#include "daemon/runtime/system_clock.h"
#include "replication/edge/control_disk.h"

namespace posthorse {
namespace {

namespace log = runtime::log;
using replication::PoolControl;

// What this release understands of the pool's value and messages; the lowest in a pool counts.
constexpr std::uint32_t feature_level = 2;  // from 2 on: copies of mail
constexpr Duration look_timeout = std::chrono::seconds{2};

replication::Value pool_of(const replication::EtcdSnapshot& snapshot) {
    for (const auto& entry : snapshot.entries) {
        if (const auto* pool = std::get_if<replication::EtcdPool>(&entry.item))
            return std::make_shared<const replication::PoolState>(pool->state);
    }
    return nullptr;
}

}  // namespace

ControlWiring::ControlWiring(const config::Config& config, Ports ports)
    : config_(config), ports_(std::move(ports)) {}

ControlWiring::~ControlWiring() = default;

Result<void> ControlWiring::open(const std::string& directory) {
    directory_ = directory;
    if (!config_.pool.join.empty()) {
        discovery_ = std::make_unique<pool::Discovery>(
            ports_.home,
            dns::DnsResolver::Settings{
                .servers = config_.delivery.dns_servers, .timeout = look_timeout, .tries = 1},
            config_.pool.join, config_.pool.port);
    }
    const auto record = replication::read_record(directory);
    if (!record && record.error().code != Errc::not_found) return record.error();
    const auto choice =
        pool::choose_control(config_.pool, record ? *record : replication::ControlRecord{});
    if (!choice) return choice.error();
    if (!choice->differs.empty()) log::warning("pool_control_differs", {{"what", choice->differs}});
    auto control =
        replication::MovableControl::open(makers(choice->control), ports_.home, ports_.clock);
    if (!control) return control.error();
    control_ = *std::move(control);
    return {};
}

replication::MovableControl::Makers ControlWiring::makers(PoolControl first) {
    replication::MovableControl::Makers makers{
        .from_disk = [this, first] { return from_disk(first); },
        .go_on = [this](PoolControl control,
                        replication::Passed passed) { return go_on(control, std::move(passed)); },
        .look_on_etcd = {},
        .notice = ports().notice,
        .failed = ports().failed};
    if (!config_.pool.etcd.endpoints.empty()) {
        makers.look_on_etcd = [this](std::function<void(replication::Value)> found) {
            look_on_etcd(std::move(found));
        };
    }
    return makers;
}

// ------------------------------------------------------------------ the one or the other

ControlWiring::Made ControlWiring::from_disk(PoolControl control) {
    if (control == PoolControl::etcd)
        return keep(
            replication::EtcdControl::open(directory_, etcd_settings(), etcd_client(), ports()));
    auto opened =
        replication::EmbeddedControl::open(directory_, embedded_settings(), embedded_ports());
    if (!opened) return opened.error();
    return std::unique_ptr<replication::MembershipControl>(*std::move(opened));
}

ControlWiring::Made ControlWiring::go_on(PoolControl control, replication::Passed passed) {
    if (control == PoolControl::etcd)
        return keep(replication::EtcdControl::go_on(directory_, std::move(passed), etcd_settings(),
                                                    etcd_client(), ports()));
    etcd_ = nullptr;
    return std::unique_ptr<replication::MembershipControl>(replication::EmbeddedControl::go_on(
        directory_, std::move(passed), embedded_settings(), embedded_ports()));
}

ControlWiring::Made ControlWiring::keep(Result<std::unique_ptr<replication::EtcdControl>> made) {
    if (!made) return Error{made.error().code, "pool.etcd: " + made.error().what};
    etcd_ = made->get();
    return std::unique_ptr<replication::MembershipControl>(*std::move(made));
}

// ------------------------------------------------------------------ settings

replication::Facts ControlWiring::facts() const {
    return {.name = config_.pool.name,
            .address = pool::advertised(config_.pool, pool::machine_addresses()),
            .zone = config_.pool.zone,
            .release = release(),
            .features = feature_level,
            .etcd = !config_.pool.etcd.endpoints.empty()};
}

replication::PoolSettings ControlWiring::pool_settings() const {
    return {.copies = config_.pool.copies, .lease_ttl = config_.pool.lease_ttl};
}

replication::ControlCore::Settings ControlWiring::embedded_settings() const {
    return {.facts = facts(),
            .alone = config_.pool.join.empty(),
            .expect = config_.pool.expect,
            .pool = pool_settings(),
            .election = {.abdicate_after = config_.pool.lease_ttl / 2}};
}

replication::EtcdCore::Settings ControlWiring::etcd_settings() const {
    return {.facts = facts(), .expect = config_.pool.expect, .pool = pool_settings()};
}

replication::EtcdClient::Settings ControlWiring::etcd_client() const {
    const auto& etcd = config_.pool.etcd;
    replication::EtcdClient::Settings client{
        .endpoints = {},
        .prefix = etcd.prefix,
        .files = {etcd.ca_file, etcd.certificate_file, etcd.key_file}};
    for (const auto& text : etcd.endpoints) {
        const auto endpoint = config::parse_etcd_endpoint(text);
        client.endpoints.push_back((endpoint->tls ? "https://" : "http://") + endpoint->address());
    }
    return client;
}

// ------------------------------------------------------------------ ports

replication::ControlPorts ControlWiring::ports() {
    return {
        .home = ports_.home,
        .disk = disk_,
        .clock = ports_.clock,
        .random = [] { return runtime::random_u64(); },
        .probe = [this](Completion<> done) { ports_.store.probe(std::move(done)); },
        .notice =
            [](const replication::ControlNotice& notice) {
                log::warning("pool", {{"event", notice.event}, {"what", notice.what}});
            },
        .stranger =
            [this](const std::string& why) {
                log::error("stranger",
                           {{"why", why},
                            {"mend",
                             "start it again: it joins as a new node, and what it holds "
                             "is set aside under data_dir"}});
                stranger_ = true;
                ports_.must_end();
            },
        .failed =
            [this](const Error& error) {
                log::error("control_disk_failed", {{"why", error.what}});
                ports_.must_end();
            },
        .moved = [this](PoolControl to,
                        replication::Passed passed) { control_->moved(to, std::move(passed)); }};
}

replication::EmbeddedControl::Ports ControlWiring::embedded_ports() {
    auto common = ports();
    return {
        .home = common.home,
        .disk = common.disk,
        .clock = common.clock,
        .random = std::move(common.random),
        .send = ports_.send,
        .look = [this](replication::EmbeddedControl::Discovered found) { look(std::move(found)); },
        .probe = std::move(common.probe),
        .notice = std::move(common.notice),
        .stranger = std::move(common.stranger),
        .failed = std::move(common.failed),
        .moved = std::move(common.moved)};
}

void ControlWiring::look(replication::EmbeddedControl::Discovered found) {
    if (!discovery_) return found({}, true);
    discovery_->look([this, found = std::move(found)](const pool::Discovered& where) {
        if (where.trouble != look_trouble_ && !where.trouble.empty())
            log::warning("pool_join_lookup", {{"why", where.trouble}});
        look_trouble_ = where.trouble;
        found(where.addresses, where.complete);
    });
}

// Once, by a client of its own, which ends in a step of its own.
void ControlWiring::look_on_etcd(std::function<void(replication::Value)> found) {
    auto opened = replication::EtcdClient::open(etcd_client(), ports_.home);
    if (!opened) return found(nullptr);
    const std::shared_ptr<replication::EtcdClient> client(*std::move(opened));
    client->read([&home = ports_.home, client, found](Result<replication::EtcdSnapshot> snapshot) {
        found(snapshot ? pool_of(*snapshot) : nullptr);
        home.post([&home, client] { client->stop([&home, client] { home.post([client] {}); }); });
    });
}

// ------------------------------------------------------------------ etcd in use

Result<void> ControlWiring::reload() {
    return etcd_ == nullptr ? Result<void>() : etcd_->reload();
}

replication::EtcdFigures ControlWiring::etcd() const {
    return etcd_ == nullptr ? replication::EtcdFigures{} : etcd_->etcd();
}

}  // namespace posthorse
