#include "daemon/schedule/scheduler.h"

#include <algorithm>
#include <iterator>

#include "daemon/runtime/log.h"

namespace posthorse::schedule {
namespace {

constexpr std::size_t claim_batch_max = 500;
constexpr Duration sleep_min = std::chrono::milliseconds{10};
constexpr Duration sleep_max = std::chrono::minutes{1};  // the wall clock may jump meanwhile
constexpr std::int64_t failure_log_every_ms = 60'000;
constexpr Duration retry_claim = std::chrono::seconds{1};

}  // namespace

template <class Call>
auto Scheduler::while_alive(Call call) {
    return [alive = std::weak_ptr<char>(alive_), call = std::move(call)](auto&&... args) mutable {
        if (!alive.expired()) call(std::forward<decltype(args)>(args)...);
    };
}

Scheduler::Scheduler(runtime::Shard& home,
                     const Clock& clock,
                     replication::ReplicatedQueue& queue,
                     DeliveryWorkers& workers,
                     ReportCall report,
                     Settings settings)
    : home_(home),
      clock_(clock),
      queue_(queue),
      workers_(workers),
      report_(std::move(report)),
      active_max_(settings.limits.active_max),
      core_(settings.limits, std::move(settings.routes), settings.seed),
      timer_(home.context()),
      record_timer_(home.context()),
      failures_logged_(failure_log_every_ms) {}

Scheduler::~Scheduler() = default;

void Scheduler::start() {
    queue_.on_due(while_alive([this] { pump(); }));
    pump();
}

void Scheduler::offer(Envelope envelope) {
    Effects out;
    core_.offer(std::move(envelope), now(), out);
    carry_out(std::move(out));
}

void Scheduler::forget(QueueId id, Withdrawal why) {
    Effects out;
    core_.forget(id, why, now(), out);
    carry_out(std::move(out));
}

void Scheduler::revive() {
    Effects out;
    core_.revive(now(), out);
    carry_out(std::move(out));
}

void Scheduler::job_ended(WorkerId worker, JobResult result, WorkerAfter after) {
    Effects out;
    core_.job_ended(worker, std::move(result), after, now(), out);
    carry_out(std::move(out));
}

void Scheduler::worker_gone(WorkerId worker) {
    Effects out;
    core_.worker_gone(worker, now(), out);
    carry_out(std::move(out));
}

void Scheduler::stop(UniqueFunction<void()> drained) {
    drained_ = std::move(drained);
    Effects out;
    core_.stop(now(), out);
    carry_out(std::move(out));
    tell_when_drained();
}

void Scheduler::go_on() {
    core_.go_on();
    drained_ = {};
    pump();
}

// --- claims

void Scheduler::pump() {
    const auto room = core_.wanted();
    if (claiming_) return;
    starved_ = room <= reporting_;
    if (starved_) return;
    claiming_ = true;
    const auto limit = std::min(room - reporting_, claim_batch_max);
    queue_.claim(limit, while_alive([this, limit](Result<std::vector<Envelope>> due) {
                     claiming_ = false;
                     claimed(limit, std::move(due));
                     tell_when_drained();
                 }));
}

void Scheduler::claimed(std::size_t limit, Result<std::vector<Envelope>> due) {
    if (!due) {
        std::uint64_t suppressed = 0;
        if (failures_logged_.allow(clock_.boot().time_since_epoch().count(), suppressed)) {
            runtime::log::warning("claim_failed",
                                  {{"what", due.error().what}, {"suppressed", suppressed}});
        }
        return wake_after(retry_claim);
    }
    const bool more = due->size() >= limit;
    for (auto& envelope : *due) offer(std::move(envelope));
    if (more) {
        home_.post(while_alive([this] { pump(); }));
    } else {
        sleep_until_due();
    }
}

void Scheduler::sleep_until_due() {
    queue_.next_due(while_alive([this](Result<WallTime> due) {
        if (!due) return wake_after(retry_claim);
        wake_by(*due);
    }));
}

void Scheduler::wake_by(WallTime due) {
    wake_after(std::clamp<Duration>(due - clock_.wall(), sleep_min, sleep_max));
}

// Unless it wakes before: what was parked or settled just now may not be in the queue's answer yet.
void Scheduler::wake_after(Duration delay) {
    const auto at = clock_.boot() + delay;
    if (wake_at_ && *wake_at_ <= at) return;
    wake_at_ = at;
    timer_.expires_after(delay);
    timer_.async_wait(while_alive([this](const boost::system::error_code& code) {
        if (code) return;
        wake_at_.reset();
        pump();
    }));
}

// A claim for each single message that leaves would keep the store busy: waits for some room.
void Scheduler::pump_when_there_is_room() {
    const auto enough = std::min<std::size_t>(claim_batch_max, active_max_ / 4 + 1);
    if (!starved_ || core_.wanted() < reporting_ + enough) return;
    starved_ = false;
    home_.post(while_alive([this] { pump(); }));
}

// --- effects

// Carrying one out may call back in here: what comes of that waits for its turn.
void Scheduler::carry_out(Effects effects) {
    std::move(effects.begin(), effects.end(), std::back_inserter(effects_));
    if (carrying_out_) return;
    carrying_out_ = true;
    while (!effects_.empty()) carry_out_next();
    carrying_out_ = false;
    record_in_time();
    pump_when_there_is_room();
}

void Scheduler::carry_out_next() {
    auto effect = std::move(effects_.front());
    effects_.pop_front();
    if (auto* started = std::get_if<StartWorker>(&effect)) {
        workers_.start(started->worker, started->destination);
    } else if (auto* assigned = std::get_if<Assign>(&effect)) {
        workers_.assign(assigned->worker, std::move(assigned->job));
    } else if (auto* dismissed = std::get_if<Dismiss>(&effect)) {
        workers_.dismiss(dismissed->worker);
    } else if (auto* parked = std::get_if<Park>(&effect)) {
        queue_.park(parked->id, parked->due);
        wake_by(parked->due);
    } else if (auto* report = std::get_if<Report>(&effect)) {
        ++reporting_;
        const auto next_due = report->ended.goes_on ? never : report->ended.next_due;
        report_(std::move(report->ended), while_alive([this, next_due] {
                    --reporting_;
                    wake_by(next_due);
                    pump_when_there_is_room();
                    tell_when_drained();
                }));
    }
}

void Scheduler::record_in_time() {
    const auto at = core_.record_at();
    if (!at || record_at_ == at) return;
    record_at_ = at;
    record_timer_.expires_after(*at - clock_.boot());
    record_timer_.async_wait(while_alive([this](const boost::system::error_code& code) {
        if (code) return;
        record_at_.reset();
        Effects out;
        core_.record(now(), out);
        carry_out(std::move(out));
    }));
}

void Scheduler::tell_when_drained() {
    if (!drained_ || claiming_ || reporting_ > 0 || !core_.drained()) return;
    auto tell = std::move(drained_);
    drained_ = {};
    tell();
}

}  // namespace posthorse::schedule
