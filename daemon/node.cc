#include "daemon/node.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <future>
#include <thread>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/admin/admin_server.h"
#include "daemon/admin/http_server.h"
#include "daemon/aside_wiring.h"
#include "daemon/count_wiring.h"
#include "daemon/deliver/delivery_pool.h"
#include "daemon/intake/listener.h"
#include "daemon/materials.h"
#include "daemon/node_metrics.h"
#include "daemon/pool_membership.h"
#include "daemon/pool_queue_wiring.h"
#include "daemon/queue_wiring.h"
#include "daemon/reloader.h"
#include "daemon/report/reporter.h"
#include "daemon/runtime/await.h"
#include "daemon/runtime/log.h"
#include "daemon/runtime/metrics.h"
#include "daemon/runtime/privileges.h"
#include "daemon/runtime/shard.h"
#include "daemon/runtime/system_clock.h"
#include "daemon/schedule/scheduler.h"
#include "daemon/stage_settings.h"
#include "daemon/verify_wiring.h"
#include "replication/replicated_queue.h"
#include "storage/rocks_store.h"

namespace posthorse {
namespace {

namespace log = runtime::log;
using runtime::asio::awaitable;

constexpr Duration tick_every = std::chrono::milliseconds{50};
// Of the stop budget: what is left for closing the queue after sessions and attempts were cut off.
constexpr Duration closing_time = std::chrono::seconds{5};
// And before that, in a pool of several, for handing over.
constexpr Duration leaving_time = std::chrono::seconds{5};
constexpr std::size_t signatures_waiting_max = 4096;

std::vector<std::unique_ptr<runtime::Shard>> make_shards(std::uint32_t wanted) {
    const unsigned count = wanted > 0 ? wanted : std::max(1u, std::thread::hardware_concurrency());
    std::vector<std::unique_ptr<runtime::Shard>> shards;
    for (unsigned i = 0; i < count; ++i) shards.push_back(std::make_unique<runtime::Shard>(i));
    return shards;
}

std::vector<runtime::Shard*> views(const std::vector<std::unique_ptr<runtime::Shard>>& shards) {
    std::vector<runtime::Shard*> plain;
    for (const auto& shard : shards) plain.push_back(shard.get());
    return plain;
}

}  // namespace

class Node {
public:
    Node(const config::Config& config, std::string config_file);
    int run();

private:
    // What stands on the disk must be open before the rest is made from it.
    Result<void> open();
    void compose();
    void compose_delivery();
    void compose_intake();
    awaitable<Result<void>> open_to_operators();
    awaitable<void> enter_pool();
    awaitable<Result<void>> open_to_clients();
    void must_end();
    awaitable<void> serve();
    awaitable<void> tick();
    awaitable<void> wait_for_signals();

    awaitable<void> stop();
    awaitable<void> cut_off_in_time();
    awaitable<void> close_queue();

    std::vector<std::string> reload();
    void judge_door();
    void judge_lease();
    void judge_draining();
    std::string not_alive_why() const;
    std::string not_ready_why() const;
    admin::AdminPorts admin_ports();
    admin::HttpPorts http_ports();
    admin::StatusValues status() const;

    runtime::Shard& home() { return *shards_.front(); }

    const config::Config config_;
    const std::string config_file_;
    runtime::SystemClock clock_;
    const WallTime started_at_ = clock_.wall();
    std::vector<std::unique_ptr<runtime::Shard>> shards_;
    runtime::Metrics metrics_;

    // --- the queue
    std::unique_ptr<storage::QueueStore> store_;
    std::unique_ptr<PoolMembership> pool_;
    std::unique_ptr<replication::ReplicatedQueue> queue_;

    // --- the stages
    Materials materials_;
    runtime::Workers signing_workers_{2, signatures_waiting_max, "sign"};
    std::unique_ptr<verify::Verifier> verifier_;  // null: no listener verifies
    std::unique_ptr<CountWiring> counts_;
    std::unique_ptr<report::Reporter> reporter_;
    std::unique_ptr<deliver::DeliveryPool> deliveries_;
    std::unique_ptr<schedule::Scheduler> scheduler_;
    intake::AddressSet trusted_networks_;
    std::atomic<intake::Door> door_{intake::Door::open};
    intake::IntakeMetrics intake_metrics_{metrics_};
    UniqueFunction<WallTime(const Envelope&)> first_due_;
    UniqueFunction<void(Envelope)> accepted_;
    std::unique_ptr<intake::IntakeContext> intake_context_;
    std::unique_ptr<intake::Listeners> listeners_;
    std::unique_ptr<PoolQueueWiring> pool_queue_;
    std::unique_ptr<aside::Aside> aside_;
    std::unique_ptr<admin::AdminServer> admin_;
    std::unique_ptr<admin::HttpServer> http_;
    std::unique_ptr<Reloader> reloader_;

    // --- on home
    std::unique_ptr<runtime::TaskGroup> tasks_;   // the node's own: serve() and its tick
    std::unique_ptr<runtime::TaskGroup> cutter_;  // cut_off_in_time(), while the node stops
    bool ready_ = false;
    bool stopping_ = false;
    bool leased_ = false;
    bool draining_ = false;
    bool left_ = false;  // the pool: nothing ticks any more
    std::unique_ptr<runtime::asio::signal_set> signals_;
    int exit_code_ = 0;
};

Node::Node(const config::Config& config, std::string config_file)
    : config_(config),
      config_file_(std::move(config_file)),
      shards_(make_shards(config.shards)),
      materials_(config_) {}

int Node::run() {
    log::start(config_.log.level,
               config_.log.mask_addresses ? log::Addresses::masked : log::Addresses::shown);
    log::info(
        "starting",
        {{"release", release()}, {"host_name", config_.host_name}, {"data_dir", config_.data_dir}});
    if (runtime::is_root())
        log::warning("runs_as_root", {{"mend", "set `user`, or start it as a user of its own"}});
    if (auto opened = open(); !opened) {
        log::error("cannot_start", {{"why", opened.error().what}});
        log::stop();
        return 1;
    }
    compose();
    for (auto& shard : shards_) shard->start();
    std::promise<void> ended;
    home().post([&] {
        tasks_->spawn(serve());
        tasks_->when_empty([&](Result<void>) { ended.set_value(); });
    });
    ended.get_future().wait();
    for (auto& shard : shards_) shard->stop();
    log::info("stopped", {{"exit_code", exit_code_}});
    log::stop();
    return exit_code_;
}

// ------------------------------------------------------------------ making the parts

Result<void> Node::open() {
    std::error_code code;
    std::filesystem::create_directories(config_.data_dir, code);
    if (code)
        return Error{Errc::io, config_.data_dir + ": cannot make: " + code.message() +
                                   "; make it, or set data_dir"};
    auto trusted = intake::AddressSet::parse(config_.intake.trusted_networks);
    if (!trusted) return trusted.error();
    trusted_networks_ = std::move(*trusted);
    if (auto aside = PoolMembership::take_aside(config_.data_dir, clock_.wall()); !aside)
        return aside;
    auto store = storage::open_rocks_store(
        {.path = config_.data_dir + "/queue",
         .home = &home(),
         .clock = &clock_,
         .write_buffer_bytes = config_.queue.write_buffer_bytes,
         .disk_floor_bytes = config_.queue.disk_floor_bytes,
         .report = [](std::string what) { log::error("queue_store", {{"what", what}}); }});
    if (!store) return store.error();
    store_ = std::move(*store);
    pool_ =
        std::make_unique<PoolMembership>(config_, home(), clock_, *store_, [this] { must_end(); });
    return pool_->open();
}

void Node::compose() {
    tasks_ = std::make_unique<runtime::TaskGroup>(home());
    cutter_ = std::make_unique<runtime::TaskGroup>(home());
    queue_ = std::make_unique<replication::ReplicatedQueue>(
        clock_, *store_, pool_->control(), pool_->streams(), home(), queue_settings(config_));
    compose_delivery();
    compose_intake();
    pool_queue_ = std::make_unique<PoolQueueWiring>(config_, home(), clock_, *queue_, *reporter_,
                                                    *pool_, metrics_);
    aside_ = make_aside(config_, home(), clock_, *queue_, *pool_, accepted_);
    admin_ = std::make_unique<admin::AdminServer>(
        config_.admin.socket,
        admin::AdminContext{home(), clock_, pool_queue_->queue(), admin_ports(),
                            pool_->admin_ports(), aside_ports(*aside_)},
        admin_port(config_.admin, metrics_));
    http_ = std::make_unique<admin::HttpServer>(home(), http_ports());
    reloader_ = std::make_unique<Reloader>(
        config_, config_file_,
        Reloader::Parts{materials_, verifier_.get(), *pool_, *admin_, *scheduler_});
    export_figures(metrics_, *queue_, *store_, *scheduler_);
    pool_->export_figures(metrics_);
}

void Node::compose_delivery() {
    reporter_ = std::make_unique<report::Reporter>(
        clock_, *queue_, metrics_, notice_signer(materials_.signer, signing_workers_, home()),
        [](const std::string& line) { log::line(log::Level::info, line); },
        reporter_settings(config_, pool_->control().self()));
    deliveries_ = std::make_unique<deliver::DeliveryPool>(
        home(), views(shards_), deliver::lane_settings(config_, {config_.host_name}),
        message_port(home(), *queue_), clock_, metrics_);
    schedule::RouteTable::Problems problems;
    auto routes = schedule::RouteTable::load(config_.delivery, problems);
    scheduler_ = std::make_unique<schedule::Scheduler>(
        home(), clock_, *queue_, *deliveries_,
        [this](Ended ended, UniqueFunction<void()> done) {
            reporter_->settle(std::move(ended), std::move(done));
        },
        scheduler_settings(config_, std::move(routes)));
    deliveries_->report_to(*scheduler_);
    heed_operators(*queue_, *scheduler_, home());
    report_doubts(*queue_, *reporter_, clock_);
    report_poison(*queue_, metrics_);
    report_stuck_partitions(*queue_, clock_);
}

void Node::compose_intake() {
    first_due_ = [this](const Envelope& envelope) { return scheduler_->first_due(envelope); };
    accepted_ = [this](Envelope envelope) { scheduler_->offer(std::move(envelope)); };
    counts_ = std::make_unique<CountWiring>(config_, home(), clock_, *pool_, metrics_);
    verifier_ = make_verifier(config_, views(shards_), clock_, metrics_);
    intake_context_ = std::make_unique<intake::IntakeContext>(intake::IntakeContext{
        config_, trusted_networks_, home(), *queue_, counts_->counts(), clock_,
        materials_.logins.authenticator(), materials_.logins.sender_policy(), signing_workers_,
        materials_.server_tls, materials_.signer, materials_.recipients, materials_.senders, door_,
        intake_metrics_, first_due_, accepted_, pool_->control().self(), verifier_.get()});
    listeners_ = std::make_unique<intake::Listeners>(*intake_context_, home(), views(shards_));
}

// ------------------------------------------------------------------ start

awaitable<void> Node::serve() {
    signals_ =
        std::make_unique<runtime::asio::signal_set>(home().context(), SIGTERM, SIGINT, SIGHUP);
    if (auto open = co_await open_to_operators(); !open) {
        log::error("cannot_start", {{"why", open.error().what}});
        exit_code_ = 1;
    } else {
        tasks_->spawn(tick());
        tasks_->spawn(enter_pool());
        co_await wait_for_signals();
    }
    co_await stop();
}

// While a node waits for its pool, operators can ask it why.
awaitable<Result<void>> Node::open_to_operators() {
    reload();
    if (auto served = materials_.check_certificate(); !served) co_return served;
    if (!config_.http.address.empty()) {
        if (auto listening = http_->listen(config_.http.address, config_.http.port); !listening)
            co_return listening;
    }
    if (auto listening = admin_->start(); !listening) co_return listening;
    co_return pool_->listen();
}

awaitable<void> Node::enter_pool() {
    auto entered = co_await runtime::completed<void>(
        [this](Completion<> done) { queue_->start(std::move(done)); });
    if (stopping_) co_return;
    if (entered) entered = co_await open_to_clients();
    if (!entered) {
        log::error("cannot_start", {{"why", entered.error().what}});
        co_return must_end();
    }
    ready_ = true;
    log::info("ready", {{"messages", queue_->counters().messages},
                        {"in_doubt", queue_->counters().in_doubt},
                        {"incarnation", pool_->control().incarnation().counter}});
}

awaitable<Result<void>> Node::open_to_clients() {
    if (auto listening = listeners_->start(); !listening) co_return listening;
    scheduler_->start();
    co_return Result<void>{};
}

void Node::must_end() {
    exit_code_ = 1;
    if (signals_) signals_->cancel();
}

awaitable<void> Node::wait_for_signals() {
    while (exit_code_ == 0) {
        const auto [error, signal] =
            co_await signals_->async_wait(runtime::asio::as_tuple(runtime::asio::use_awaitable));
        if (error) co_return;  // must_end()
        if (signal != SIGHUP) {
            log::info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
            co_return;
        }
        reload();
    }
}

awaitable<void> Node::tick() {
    runtime::asio::steady_timer timer(home().context());
    while (!left_) {
        timer.expires_after(tick_every);
        co_await timer.async_wait(runtime::asio::use_awaitable);
        pool_->tick();
        queue_->tick();
        counts_->tick();
        judge_door();
        judge_lease();
        judge_draining();
    }
}

// What an operator drains finishes what it sends, and sends nothing more until he resumes it.
void Node::judge_draining() {
    const bool drains = pool_->drains();
    if (stopping_ || !ready_ || std::exchange(draining_, drains) == drains) return;
    log::info(drains ? "draining" : "resumed");
    drains ? scheduler_->stop([] {}) : scheduler_->go_on();
}

// Octets that wait in the kernel when the lease is lost must not leave after it.
void Node::judge_lease() {
    const bool live = queue_->lease_live();
    if (std::exchange(leased_, live) && !live) deliveries_->lease_lost();
}

void Node::judge_door() {
    auto door = pool_->drains() ? intake::Door::draining : intake::Door::open;
    if (!store_->stats().accepting) door = intake::Door::full;
    if (!store_->healthy()) door = intake::Door::failed;
    if (door_.exchange(door) == door) return;
    constexpr const char* names[] = {"open", "disk nearly full", "disk failed", "draining"};
    log::warning("queue_door", {{"state", names[static_cast<int>(door)]}});
}

// ------------------------------------------------------------------ stop, in reverse

// A stage that did not start stops at once.
awaitable<void> Node::stop() {
    stopping_ = true;
    ready_ = false;
    const auto stop_by = clock_.boot() + config_.stop_budget;
    cutter_->spawn(cut_off_in_time());
    pool_->begin_leaving(*queue_);
    scheduler_->stop([] {});
    co_await listeners_->stop();
    queue_->stop_accepting();
    co_await runtime::completed<void>([this](Completion<> done) {
        scheduler_->stop([done = std::move(done)]() mutable { done({}); });
    });
    co_await runtime::completed<void>([this](Completion<> done) {
        deliveries_->join([done = std::move(done)]() mutable { done({}); });
    });
    co_await runtime::completed<void>([this](Completion<> done) {
        counts_->stop([done = std::move(done)]() mutable { done({}); });
    });
    co_await runtime::completed<void>([this](Completion<> done) {
        pool_queue_->stop([done = std::move(done)]() mutable { done({}); });
    });
    co_await runtime::completed<void>([this](Completion<> done) {
        admin_->stop([done = std::move(done)]() mutable { done({}); });
    });
    co_await http_->stop();
    cutter_->cancel();
    co_await cutter_->join();
    co_await close_queue();
    const bool handed_over = co_await pool_->leave(*queue_, stop_by);
    if (!handed_over) exit_code_ = 1;
    left_ = true;
    co_await pool_->stop();
}

// What has not ended by itself when the budget is nearly over is ended: its mail stays queued.
awaitable<void> Node::cut_off_in_time() {
    const auto last = config_.pool.has_peers() ? closing_time + leaving_time : closing_time;
    const auto patience = std::max(config_.stop_budget - last, Duration::zero());
    runtime::asio::steady_timer timer(home().context(), patience);
    co_await timer.async_wait(runtime::asio::use_awaitable);
    log::warning("cut_off",
                 {{"sessions", listeners_->sessions()}, {"claimed", queue_->counters().claimed}});
    listeners_->abandon();
    deliveries_->abort();
    queue_->hasten();
}

awaitable<void> Node::close_queue() {
    runtime::asio::steady_timer timer(home().context());
    for (auto left = closing_time; !queue_->idle() && store_->healthy() && left > Duration::zero();
         left -= tick_every) {
        timer.expires_after(tick_every);
        co_await timer.async_wait(runtime::asio::use_awaitable);
    }
    const auto counters = queue_->counters();
    log::info("queue_closed", {{"messages", counters.messages}, {"open", counters.claimed}});
}

// ------------------------------------------------------------------ what others see

std::string Node::not_alive_why() const {
    return store_->healthy() ? "" : "the queue's disk failed: restart on a good one";
}

std::string Node::not_ready_why() const {
    if (stopping_) return "stopping";
    if (!ready_) return pool_->not_entered_why();
    if (!store_->healthy()) return "the queue's disk failed";
    if (!store_->stats().accepting) return "the queue's disk is nearly full";
    if (!pool_->control().lease_live(clock_.boot(), Duration::zero()))
        return "no lease: " + pool_->no_lease_why();
    return pool_->not_ready_why();
}

admin::StatusValues Node::status() const {
    const auto stats = store_->stats();
    return {.node = pool_->control().self(),
            .host_name = config_.host_name,
            .release = release(),
            .started_at = started_at_,
            .not_ready_why = not_ready_why(),
            .set_aside = stats.set_aside,
            .disk_free_bytes = stats.disk_free_bytes,
            .accepting = stats.accepting,
            .incoming_sessions = listeners_->sessions(),
            .outgoing_connections = scheduler_->counters().workers,
            .queue = queue_->counters()};
}

std::vector<std::string> Node::reload() {
    return reloader_->reload(ready_ ? Reloader::When::serving : Reloader::When::starting);
}

admin::AdminPorts Node::admin_ports() {
    return {.status = [this] { return status(); }, .reload = [this] { return reload(); }};
}

admin::HttpPorts Node::http_ports() {
    return {.metrics = [this] { return metrics_.text(); },
            .not_alive_why = [this] { return not_alive_why(); },
            .not_ready_why = [this] { return not_ready_why(); }};
}

// ------------------------------------------------------------------

std::string release() {
    return POSTHORSE_RELEASE;
}

int run_node(const config::Config& config, const std::string& config_file) {
    std::signal(SIGPIPE, SIG_IGN);
    return Node(config, config_file).run();
}

}  // namespace posthorse
