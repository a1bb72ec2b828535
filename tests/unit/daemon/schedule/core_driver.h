// Plays queue, connections and clock around a ScheduleCore, and keeps what it asked for. Effects
// that break the contract abort.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/schedule/schedule_core.h"
#include "proto/types/assert.h"

namespace posthorse::schedule {

class CoreDriver {
public:
    explicit CoreDriver(Limits limits = {}, RouteTable routes = {})
        : core(limits, std::move(routes), 42) {}

    static Envelope envelope(std::uint32_t number, std::vector<std::string> addresses) {
        Envelope envelope;
        envelope.id = QueueId::make(WallTime{}, PartitionId{1}, Epoch{1}, number);
        envelope.version = 1;
        envelope.sender = "sender@example.org";
        envelope.expires_at = WallTime{std::chrono::hours{1000}};
        envelope.warn_at = never;
        for (auto& address : addresses) envelope.recipients.push_back({.address = address});
        return envelope;
    }

    // Offers message `number` and returns its id.
    QueueId offer(std::uint32_t number, std::vector<std::string> addresses) {
        return offer(envelope(number, std::move(addresses)));
    }
    QueueId offer(Envelope message) {
        const auto id = message.id;
        Effects out;
        core.offer(std::move(message), now, out);
        take(std::move(out));
        return id;
    }

    void end(WorkerId worker,
             OutcomeKind kind,
             DestinationHealth health = DestinationHealth::good,
             WorkerAfter after = WorkerAfter::lingers) {
        const auto job = running.at(worker);
        running.erase(worker);
        JobResult result{.id = job.id, .attempt = job.attempt, .destination = job.destination};
        for (const auto recipient : job.recipients) {
            RecipientOutcome outcome{.recipient = recipient, .kind = kind};
            outcome.status.reply.text = "said " + job.destination;
            result.outcomes.push_back(outcome);
        }
        result.health = health;
        result.end = attempt_end;
        if (after == WorkerAfter::gone) workers.erase(worker);
        Effects out;
        core.job_ended(worker, std::move(result), after, now, out);
        take(std::move(out));
    }
    void succeed(WorkerId worker) { end(worker, OutcomeKind::delivered); }
    void fail(WorkerId worker) {
        end(worker, OutcomeKind::deferred, DestinationHealth::unreachable, WorkerAfter::gone);
    }
    void gone(WorkerId worker) {
        workers.erase(worker);
        dismissed.erase(worker);
        Effects out;
        core.worker_gone(worker, now, out);
        take(std::move(out));
    }
    // Workers that were dismissed leave.
    void leave() {
        while (!dismissed.empty()) gone(*dismissed.begin());
    }
    template <class Call>
    void call(Call what) {
        Effects out;
        what(out);
        take(std::move(out));
    }
    void pass(Duration time) {
        now.wall += time;
        now.boot += time;
    }

    // Workers with a job at `destination`.
    std::vector<WorkerId> busy(const std::string& destination) const {
        std::vector<WorkerId> found;
        for (const auto& [worker, job] : running) {
            if (job.destination == destination) found.push_back(worker);
        }
        return found;
    }
    std::size_t workers_at(const std::string& destination) const {
        std::size_t count = 0;
        for (const auto& [worker, where] : workers) count += where == destination ? 1 : 0;
        return count;
    }

    AttemptEnd attempt_end = AttemptEnd::completed;  // of those that end from now on
    Now now{WallTime{std::chrono::hours{24}}, BootTime{std::chrono::hours{1}}};
    ScheduleCore core;
    std::map<WorkerId, std::string> workers;
    std::map<WorkerId, DeliveryJob> running;
    std::set<WorkerId> dismissed;
    std::deque<Park> parked;
    std::deque<Ended> reports;
    std::size_t workers_most = 0;

private:
    void take(Effects effects) {
        for (auto& effect : effects) std::visit([this](auto& e) { take(std::move(e)); }, effect);
        workers_most = std::max(workers_most, workers.size());
    }
    void take(StartWorker e) { PH_ASSERT(workers.emplace(e.worker, e.destination).second); }
    void take(Assign e) {
        PH_ASSERT(workers.at(e.worker) == e.job.destination);
        PH_ASSERT(!dismissed.contains(e.worker));
        PH_ASSERT(running.emplace(e.worker, std::move(e.job)).second);
    }
    void take(Dismiss e) {
        PH_ASSERT(!running.contains(e.worker));
        PH_ASSERT(dismissed.insert(e.worker).second);
    }
    void take(Park e) { parked.push_back(e); }
    void take(Report e) { reports.push_back(std::move(e.ended)); }
};

}  // namespace posthorse::schedule
