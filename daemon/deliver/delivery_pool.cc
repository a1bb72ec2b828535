#include "daemon/deliver/delivery_pool.h"

#include "daemon/runtime/tls.h"
#include "proto/types/assert.h"

namespace posthorse::deliver {
namespace {

smtp::TlsUse tls_use(const std::string& name) {
    if (name == "never") return smtp::TlsUse::never;
    return name == "required" ? smtp::TlsUse::required : smtp::TlsUse::when_offered;
}

}  // namespace

LaneSettings lane_settings(const config::Config& config, std::vector<std::string> own_names) {
    const auto& delivery = config.delivery;
    LaneSettings settings;
    settings.connection.helo = delivery.helo_name.empty() ? config.host_name : delivery.helo_name;
    settings.connection.tls = tls_use(delivery.tls);
    settings.connection.limits = config.limits;
    settings.connection.timeouts = config.timeouts;
    settings.connection.source_address = delivery.source_address;
    settings.addresses.own_names = std::move(own_names);
    settings.addresses.port = delivery.port;
    settings.addresses.private_addresses = delivery.private_addresses;
    settings.dns.servers = delivery.dns_servers;
    settings.messages_per_connection_max = delivery.messages_per_connection_max;
    settings.idle_connection = delivery.idle_connection;
    return settings;
}

DeliveryPool::DeliveryPool(runtime::Shard& home,
                           const std::vector<runtime::Shard*>& shards,
                           LaneSettings settings,
                           MessagePort messages,
                           const Clock& clock,
                           runtime::Metrics& metrics)
    : home_(home),
      settings_(std::move(settings)),
      messages_(std::move(messages)),
      metrics_(metrics) {
    const auto tls = runtime::make_client_context();
    const LaneReports reports{
        [this](WorkerId worker, JobResult result, WorkerAfter after) {
            home_.post([this, worker, after, result = std::move(result)]() mutable {
                job_ended(worker, std::move(result), after);
            });
        },
        [this](WorkerId worker, Completion<bool> done) {
            home_.post([this, worker, done = std::move(done)]() mutable { done(leave(worker)); });
        }};
    for (auto* shard : shards) {
        lanes_.push_back(
            std::make_unique<Lane>(*shard, settings_, tls, messages_, clock, metrics_, reports));
    }
}

DeliveryPool::~DeliveryPool() = default;

void DeliveryPool::start(WorkerId worker, const std::string& destination) {
    auto* lane = lanes_[next_lane_++ % lanes_.size()].get();
    PH_ASSERT(seats_.emplace(worker, Seat{lane}).second);
    lane->shard().post([lane, worker, destination] { lane->start(worker, destination); });
}

void DeliveryPool::assign(WorkerId worker, DeliveryJob job) {
    auto& seat = seats_.at(worker);
    PH_ASSERT(!seat.busy);
    seat.busy = true;
    seat.lane->shard().post([lane = seat.lane, worker, job = std::move(job)]() mutable {
        lane->assign(worker, std::move(job));
    });
}

void DeliveryPool::dismiss(WorkerId worker) {
    const auto& seat = seats_.at(worker);
    PH_ASSERT(!seat.busy);
    seat.lane->shard().post([lane = seat.lane, worker] { lane->dismiss(worker); });
}

void DeliveryPool::job_ended(WorkerId worker, JobResult result, WorkerAfter after) {
    if (after == WorkerAfter::gone) {
        seats_.erase(worker);
    } else {
        seats_.at(worker).busy = false;
    }
    events_->job_ended(worker, std::move(result), after);
}

// The worker's wish crossed a job: it must take that. Otherwise it is gone from here on.
bool DeliveryPool::leave(WorkerId worker) {
    const auto seat = seats_.find(worker);
    PH_ASSERT(seat != seats_.end());
    if (seat->second.busy) return false;
    seats_.erase(seat);
    events_->worker_gone(worker);
    return true;
}

void DeliveryPool::abort() {
    for (auto& lane : lanes_) lane->shard().post([lane = lane.get()] { lane->abort(); });
}

void DeliveryPool::lease_lost() {
    for (auto& lane : lanes_) lane->shard().post([lane = lane.get()] { lane->lease_lost(); });
}

void DeliveryPool::join(UniqueFunction<void()> done) {
    struct Joining {
        std::size_t open = 0;
        UniqueFunction<void()> done;
    };
    const auto joining = std::make_shared<Joining>();
    joining->open = lanes_.size();
    joining->done = std::move(done);
    for (auto& lane : lanes_) {
        lane->shard().post([this, joining, lane = lane.get()] {
            lane->joined([this, joining] {
                home_.post([joining] {
                    if (--joining->open == 0) joining->done();
                });
            });
        });
    }
}

}  // namespace posthorse::deliver
