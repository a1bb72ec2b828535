#include "daemon/deliver/lane.h"

#include "daemon/runtime/await.h"
#include "daemon/runtime/log.h"
#include "daemon/runtime/system_clock.h"
#include "proto/types/assert.h"

namespace posthorse::deliver {

namespace asio = runtime::asio;

struct Lane::Worker {
    Worker(std::string to, asio::io_context& context)
        : destination(std::move(to)), news(context, asio::steady_timer::time_point::max()) {}

    std::string destination;
    std::unique_ptr<Connection> connection;
    std::uint32_t messages = 0;  // over this connection
    std::optional<DeliveryJob> job;
    bool dismissed = false;
    bool served = false;      // had a job
    asio::steady_timer news;  // cancelled when job or dismissed changes
};

Lane::Lane(runtime::Shard& shard,
           const LaneSettings& settings,
           std::shared_ptr<asio::ssl::context> tls,
           const MessagePort& messages,
           const Clock& clock,
           DeliveryMetrics& metrics,
           LaneReports reports)
    : shard_(shard),
      settings_(settings),
      tls_(std::move(tls)),
      messages_(messages),
      clock_(clock),
      metrics_(metrics),
      reports_(std::move(reports)),
      dns_(shard, settings.dns),
      finder_(dns_,
              clock,
              settings.addresses,
              [] { return static_cast<std::uint32_t>(runtime::random_u64()); }),
      tasks_(shard) {}

Lane::~Lane() = default;

// --- from home

void Lane::start(WorkerId id, std::string destination) {
    const auto added =
        workers_.emplace(id, std::make_unique<Worker>(std::move(destination), shard_.context()));
    PH_ASSERT(added.second);
    tasks_.spawn(run(id, added.first->second.get()));
}

void Lane::assign(WorkerId id, DeliveryJob job) {
    auto& worker = *workers_.at(id);
    PH_ASSERT(!worker.job);
    worker.job = std::move(job);
    worker.news.cancel();
}

void Lane::dismiss(WorkerId id) {
    const auto found = workers_.find(id);
    if (found == workers_.end()) return;  // it left by itself meanwhile
    found->second->dismissed = true;
    found->second->news.cancel();
}

void Lane::abort() {
    aborted_ = true;
    dns_.cancel();
    for (auto& [id, worker] : workers_) {
        if (worker->connection) worker->connection->abort();
    }
}

void Lane::lease_lost() {
    for (auto& [id, worker] : workers_) {
        if (worker->connection) worker->connection->lease_lost();
    }
}

void Lane::joined(UniqueFunction<void()> done) {
    tasks_.when_empty([done = std::move(done)](Result<void>) mutable { done(); });
}

// --- a worker's life

asio::awaitable<void> Lane::run(WorkerId id, Worker* worker) {
    while (co_await wait_for_job(id, worker)) {
        worker->served = true;
        auto job = std::move(*worker->job);
        worker->job.reset();
        auto result = co_await perform_safely(worker, std::move(job));
        metrics_.attempt_ended(result, clock_.wall());
        const bool gone = result.health == DestinationHealth::unreachable;
        reports_.job_ended(id, std::move(result), gone ? WorkerAfter::gone : WorkerAfter::lingers);
        if (gone) break;
    }
    workers_.erase(id);
}

// False: the worker is gone.
asio::awaitable<bool> Lane::wait_for_job(WorkerId id, Worker* worker) {
    constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
    // Home sends the first job right behind the start; without a connection there is nothing to
    // keep.
    const bool linger = worker->connection ? worker->connection->usable() : !worker->served;
    if (linger && !worker->job && !worker->dismissed) {
        worker->news.expires_after(settings_.idle_connection);
        co_await worker->news.async_wait(as_result);
    }
    if (worker->job) co_return true;
    if (worker->connection) co_await worker->connection->quit();
    const auto gone = co_await runtime::completed<bool>(
        [this, id](Completion<bool> done) { reports_.leave(id, std::move(done)); });
    if (gone && *gone) co_return false;
    while (!worker->job) {
        worker->news.expires_at(asio::steady_timer::time_point::max());
        co_await worker->news.async_wait(as_result);
    }
    co_return true;
}

// What a library throws must not cost the message its outcome: it would be claimed for ever.
asio::awaitable<JobResult> Lane::perform_safely(Worker* worker, DeliveryJob job) {
    std::string what;
    try {
        co_return co_await perform(worker, job);
    } catch (const std::exception& error) {
        what = error.what();
    }
    runtime::log::error("delivery_failed", {{"id", job.id.to_string()}, {"what", what}});
    worker->connection.reset();
    auto result = refused(job, {OutcomeKind::deferred, {0, {4, 3, 0}, "internal error: " + what}});
    result.end = AttemptEnd::cut_off;
    co_return result;
}

asio::awaitable<JobResult> Lane::perform(Worker* worker, DeliveryJob job) {
    for (;;) {
        if (worker->connection && worker->messages >= settings_.messages_per_connection_max) {
            co_await worker->connection->quit();
        }
        if (!worker->connection || !worker->connection->usable()) {
            if (worker->connection) co_await worker->connection->quit();
            const auto refusal = co_await open(worker);
            if (refusal) co_return refused(job, *refusal);
        }
        ++worker->messages;
        auto attempt = co_await worker->connection->deliver(job);
        if (attempt.stale && !aborted_) continue;  // once: a fresh connection is never stale
        co_return std::move(attempt.result);
    }
}

asio::awaitable<std::optional<Refusal>> Lane::open(Worker* worker) {
    const Refusal stopping{OutcomeKind::deferred, {0, {4, 3, 2}, "the node stops"}};
    if (aborted_) co_return stopping;
    auto found = co_await finder_.find(worker->destination);
    if (aborted_) co_return stopping;
    if (auto* refusal = std::get_if<Refusal>(&found)) co_return std::move(*refusal);
    worker->connection =
        std::make_unique<Connection>(shard_, settings_.connection, tls_, messages_, clock_);
    worker->messages = 0;
    auto refusal =
        co_await worker->connection->open(std::get<std::vector<Candidate>>(std::move(found)));
    if (refusal) {
        metrics_.connection_failed();
    } else {
        metrics_.connection_opened(worker->connection->secure());
    }
    co_return refusal;
}

JobResult Lane::refused(const DeliveryJob& job, const Refusal& refusal) const {
    JobResult result{.id = job.id,
                     .attempt = job.attempt,
                     .destination = job.destination,
                     .end = AttemptEnd::unfinished};
    for (const auto recipient : job.recipients) {
        RecipientOutcome outcome{recipient, refusal.kind, {}};
        outcome.status.reply = refusal.reply;
        outcome.status.at = clock_.wall();
        result.outcomes.push_back(std::move(outcome));
    }
    result.health = refusal.kind == OutcomeKind::deferred ? DestinationHealth::unreachable
                                                          : DestinationHealth::good;
    return result;
}

}  // namespace posthorse::deliver
