#include "daemon/pool_membership.h"

#include <algorithm>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/pool_metrics.h"
#include "daemon/runtime/await.h"
#include "daemon/runtime/log.h"
#include "replication/core/placement.h"
#include "replication/edge/control_disk.h"

namespace posthorse {
namespace {

namespace log = runtime::log;
using boost::asio::awaitable;

constexpr Duration report_every = std::chrono::seconds{1};
constexpr Duration poll_every = std::chrono::milliseconds{50};
// Of the time to stop: what the pool needs to agree.
constexpr Duration tidying_time = std::chrono::seconds{3};
constexpr Duration agreement_time = std::chrono::seconds{4};

std::string control_directory(const std::string& data_dir) {
    return data_dir + "/control";
}

}  // namespace

PoolMembership::PoolMembership(const config::Config& config,
                               runtime::Shard& home,
                               const Clock& clock,
                               storage::QueueStore& store,
                               std::function<void()> must_end)
    : config_(config),
      home_(home),
      clock_(clock),
      wiring_(config,
              {.home = home,
               .clock = clock,
               .store = store,
               .send =
                   [this](replication::Outgoing message) {
                       if (peers_) peers_->send(std::move(message));
                   },
               .must_end = std::move(must_end)}) {}

PoolMembership::~PoolMembership() = default;

Result<void> PoolMembership::take_aside(const std::string& data_dir, WallTime now) {
    const auto directory = control_directory(data_dir);
    const auto why = replication::stranger_mark(directory);
    if (!why) return {};
    const auto record = replication::read_record(directory);
    auto moved = replication::set_aside(
        data_dir, {*why, record ? std::optional(record->self) : std::nullopt, now});
    if (!moved) return moved.error();
    log::warning("copies_set_aside", {{"why", *why}, {"where", *moved}});
    return {};
}

Result<void> PoolMembership::open() {
    auto opened = wiring_.open(control_directory(config_.data_dir));
    if (!opened) return opened;
    const auto copies = replication::list_set_aside(config_.data_dir);
    if (!copies) return copies.error();
    for (const auto& copy : *copies) set_aside_.push_back(copy.path);
    return {};
}

Result<void> PoolMembership::listen() {
    if (!config_.pool.has_peers()) return {};
    auto peers = replication::PeerNetwork::open(
        {.address = config_.pool.address,
         .port = config_.pool.port,
         .files = {config_.pool.ca_file, config_.pool.certificate_file, config_.pool.key_file},
         .certificates = config_.pool.certificates == "node" ? replication::PeerCertificates::node
                                                             : replication::PeerCertificates::pool,
         .name = config_.pool.name,
         .services = services_},
        home_,
        [this](replication::Header header, replication::Message message,
               UniqueFunction<void(replication::Refusal)> verdict) {
            control().receive(header, message, std::move(verdict));
        },
        {.judge = [this](const replication::Header& header) { return control().judge(header); },
         .header = [this](NodeId to) { return control().header(to); }});
    if (!peers) return peers.error();
    peers_ = *std::move(peers);
    streams_.lead_to(peers_->streams());
    return {};
}

std::shared_ptr<grpc::Channel> PoolMembership::channel(const std::string& address) {
    return peers_ ? peers_->channel(address) : nullptr;
}

void PoolMembership::set_aside_left(std::vector<std::string> names) {
    set_aside_.clear();
    for (auto& name : names) set_aside_.push_back(config_.data_dir + "/set-aside/" + name);
}

void PoolMembership::tick() {
    control().tick();
    if (!peers_ || clock_.boot() < next_report_) return;
    next_report_ = clock_.boot() + report_every;
    report_peers();
}

void PoolMembership::report_peers() {
    std::set<std::string> now;
    auto problems = peers_->problems();
    for (auto& problem : peers_->stream_problems()) problems.push_back(std::move(problem));
    for (const auto& problem : problems) {
        now.insert(problem.address);
        if (!unreachable_.contains(problem.address))
            log::warning("peer_unreachable", {{"address", problem.address}, {"why", problem.what}});
    }
    for (const auto& address : unreachable_) {
        if (!now.contains(address)) log::info("peer_reachable", {{"address", address}});
    }
    unreachable_ = std::move(now);
}

std::vector<std::string> PoolMembership::reload() {
    std::vector<std::string> problems;
    const auto note = [&](const char* event, const Result<void>& reloaded) {
        if (reloaded) return;
        log::error(event, {{"why", reloaded.error().what}});
        problems.push_back(reloaded.error().what);
    };
    if (peers_) note("peer_certificate_refused", peers_->reload());
    note("etcd_certificate_refused", wiring_.reload());
    return problems;
}

replication::PeerNetworkFigures PoolMembership::peer_figures() const {
    return peers_ ? peers_->figures() : replication::PeerNetworkFigures{};
}

std::string PoolMembership::not_entered_why() const {
    const auto status = control().status();
    if (status.waits_for.empty()) return "starting: " + status.phase;
    return "starting: " + status.phase + ", waits for " + status.waits_for;
}

std::string PoolMembership::no_lease_why() const {
    const auto status = control().status();
    if (status.control == replication::PoolControl::embedded)
        return "the pool's leader does not answer";
    return status.waits_for.empty() ? "etcd has not renewed it" : "waits for " + status.waits_for;
}

admin::PoolView PoolMembership::view() const {
    return {.committed = control().committed(),
            .status = control().status(),
            .name = config_.pool.name,
            .set_aside = set_aside_};
}

admin::PoolPorts PoolMembership::admin_ports() {
    return {
        .view = [this] { return view(); },
        .propose =
            [this](replication::Change change, Completion<> done) {
                control().propose(std::move(change), std::move(done));
            },
        .begin_without =
            [this](const std::vector<NodeId>& others) { return control().begin_without(others); }};
}

void PoolMembership::export_figures(runtime::Metrics& metrics) {
    export_pool(metrics, [this] { return view(); }, [this] { return peer_figures(); });
    export_streams(metrics, [this] {
        return peers_ ? peers_->stream_figures() : replication::PeerStreamFigures{};
    });
    if (!config_.pool.etcd.endpoints.empty())
        export_etcd(metrics, [this] { return wiring_.etcd(); });
}

// A stranger waits for nobody: what it remembers of its pool is not true any more.
bool PoolMembership::has_peers() const {
    return !wiring_.is_stranger() && control().committed().members.size() > 1;
}

bool PoolMembership::drains() const {
    const auto* own = control().committed().member(control().self());
    return own != nullptr && own->draining;
}

// A replacement is not ready while messages lack copies because of an earlier leave or death:
// whoever replaces nodes one after another waits for it. Once they were whole it serves, come what
// may.
std::string PoolMembership::not_ready_why() {
    if (drains()) return "draining";
    if (whole_) return "";
    if (!asked_ready_) asked_ready_ = clock_.boot();
    const auto lacking = replication::short_partitions(control().committed());
    if (lacking > 0)
        return "the pool makes copies: " + std::to_string(lacking) + " partitions lack holders";
    if (const auto silent = not_heard_since(*asked_ready_); !silent.empty())
        return "waits for a renewal of the lease of " + silent;
    if (!votes_are_settled()) return "the pool changes its voters";
    whole_ = true;
    return "";
}

// While one that is gone has a vote, the next one to go may take the majority with it. On etcd
// nobody votes.
bool PoolMembership::votes_are_settled() const {
    const auto status = control().status();
    if (status.control == replication::PoolControl::etcd) return true;
    const auto& pool = control().committed();
    const auto& voters = status.voters.voters;
    return !status.voters_change && !replication::next_voters(status.voters, pool, {}) &&
           std::all_of(voters.begin(), voters.end(),
                       [&](const NodeId& voter) { return pool.is_live(voter); });
}

// A node that died just now, perhaps with its disk, counts as alive and as a holder until its lease
// ends. Who renews after this node began to serve is alive.
std::string PoolMembership::not_heard_since(BootTime since) const {
    constexpr Duration way_of_a_message = std::chrono::milliseconds{200};
    const auto& pool = control().committed();
    const auto leases = control().status().leases;
    for (const auto& member : pool.members) {
        if (!member.live || member.id == control().self()) continue;
        const auto left = leases.find(member.id);
        const bool heard =
            left != leases.end() &&
            clock_.boot() + left->second >= since + pool.settings.lease_ttl + way_of_a_message;
        if (!heard) return member.facts.name;
    }
    return "";
}

void PoolMembership::begin_leaving(replication::ReplicatedQueue& queue) {
    if (!has_peers()) return;
    control().propose(replication::SetDraining{control().self(), true}, [](Result<void>) {});
    queue.hurry();
}

template <class Condition>
awaitable<void> PoolMembership::wait_while(Condition holds, BootTime until) {
    boost::asio::steady_timer timer(home_.context());
    while (holds() && clock_.boot() < until) {
        timer.expires_after(poll_every);
        co_await timer.async_wait(boost::asio::use_awaitable);
    }
}

awaitable<bool> PoolMembership::leave(replication::ReplicatedQueue& queue, BootTime until) {
    const auto agree_by = until - agreement_time;
    co_await wait_while([&] { return has_peers() && !queue.all_copied(); }, agree_by);
    // What is copied the pool gives to others in any case; empty partitions would stay behind, and
    // how an attempt ended nobody else could tell.
    const auto untidy = [&] { return !queue.owns_nothing() || queue.will_be_asked(); };
    co_await wait_while([&] { return has_peers() && untidy(); },
                        std::min(agree_by, clock_.boot() + tidying_time));
    bool last_holder = has_peers() && queue.is_last_holder();
    const auto messages = queue.counters().messages;
    const auto left = std::make_shared<bool>(false);
    control().leave([left](const Result<void>&) { *left = true; });
    co_await wait_while([&] { return !*left; },
                        std::max(until, clock_.boot() + agreement_time / 2));
    // Whoever else had some of this mail may have left at the same time.
    last_holder = last_holder || (has_peers() && queue.is_last_holder()) ||
                  queue.has_mail_of(control().left_with());
    if (*left) {
        log::info("left_pool", {{"messages_handed_over", last_holder ? 0 : messages}});
    } else {
        log::warning("leave_unfinished",
                     {{"what", "the pool did not agree in time; it goes on after the lease"}});
    }
    if (last_holder) {
        log::error("last_holder",
                   {{"messages", messages},
                    {"what",
                     "only this node has some of this mail: keep data_dir and start it "
                     "again"}});
    }
    co_return !last_holder;
}

awaitable<void> PoolMembership::stop() {
    co_await runtime::completed<void>([this](Completion<> done) {
        control().stop([done = std::move(done)]() mutable { done({}); });
    });
    if (!peers_) co_return;
    co_await runtime::completed<void>([this](Completion<> done) {
        peers_->stop([done = std::move(done)]() mutable { done({}); });
    });
}

}  // namespace posthorse
