#include "daemon/schedule/schedule_core.h"

#include <algorithm>
#include <utility>

#include "daemon/schedule/due_times.h"
#include "proto/types/assert.h"

namespace posthorse::schedule {
namespace {

DeliveryJob order_of(const Job& job, const Envelope& envelope, const std::string& destination) {
    DeliveryJob order{.id = job.id,
                      .attempt = job.attempt,
                      .destination = destination,
                      .sender = envelope.sender,
                      .recipients = job.recipients,
                      .addresses = {},
                      .size_bytes = envelope.size_bytes,
                      .chunk_count = envelope.chunk_count,
                      .body = envelope.body,
                      .utf8_header = envelope.utf8_header,
                      .wishes = envelope.wishes};
    for (const auto i : job.recipients) {
        order.addresses.push_back(envelope.recipients[i].address);
        order.recipient_wishes.push_back(envelope.recipients[i].wishes);
    }
    return order;
}

// Of recipients that nobody was asked about, but whose sender must hear now.
DeliveryStatus unasked(const DestinationQueue& queue, WallTime now) {
    DeliveryStatus status;
    status.at = now;
    status.reply.enhanced = {4, 4, 1};
    status.reply.text = queue.last_refusal.empty() ? "too much mail waits for this destination"
                                                   : "destination is down: " + queue.last_refusal;
    return status;
}

}  // namespace

ScheduleCore::ScheduleCore(Limits limits, RouteTable routes, std::uint64_t seed)
    : limits_(limits),
      routes_(std::move(routes)),
      random_state_(seed),
      queues_(limits.connections_per_destination_max, limits.retry) {
    PH_ASSERT(limits_.active_max > 0 && limits_.connections_max > 0);
}

// --- messages in

WallTime ScheduleCore::first_due(const Envelope& envelope, Now now) {
    if (stopping_ || envelope.due_at > now.wall || now.wall >= told_at(envelope))
        return envelope.due_at;
    auto earliest = never;
    for (const auto& [destination, recipients] : pending_by_destination(envelope)) {
        const auto* queue = queues_.find(destination);
        const auto due = queue != nullptr ? put_off(*queue, now) : std::nullopt;
        if (!due) return envelope.due_at;
        earliest = std::min(earliest, *due);
    }
    return due_when_parked(envelope, earliest, now.wall);
}

void ScheduleCore::offer(Envelope envelope, Now now, Effects& out) {
    queues_.expire(now.boot);
    const auto id = envelope.id;
    // A message that is active already was claimed anew under a later epoch: its attempt ends
    // first.
    if (stopping_ || jobs_ >= limits_.active_max || active_.contains(id)) {
        const bool again = active_.contains(id);
        out.push_back(Park{id, again ? now.wall + limits_.retry.retry_min : at_once});
        return;
    }
    // Fresh from its client, and for later (RFC 4865, or first_due()): until then it is in the
    // queue alone.
    if (envelope.due_at > now.wall) {
        out.push_back(Park{id, envelope.due_at});
        return;
    }
    if (now.wall >= told_at(envelope)) {
        const auto due = due_after_notice(envelope, limits_.retry.retry_min, now.wall);
        out.push_back(Report{{.envelope = std::move(envelope), .next_due = due}});
        return;
    }
    const auto batches = pending_by_destination(envelope);
    const auto message = active_.emplace(id, Message{}).first;
    message->second.envelope = std::move(envelope);
    for (const auto& [destination, recipients] : batches) {
        take(message->second, queues_.of(destination), recipients, now);
    }
    settle_if_done(message, now, out);
    start_workers(out);
    for (const auto& [destination, recipients] : batches) {
        queues_.let_rest(queues_.of(destination), now.boot);
    }
}

ScheduleCore::Batches ScheduleCore::pending_by_destination(const Envelope& envelope) const {
    Batches batches;
    for (std::uint32_t i = 0; i < envelope.recipients.size(); ++i) {
        const auto& recipient = envelope.recipients[i];
        if (recipient.state != RecipientState::pending) continue;
        batches[routes_.destination_of(recipient.address)].push_back(i);
    }
    return batches;
}

// Makes jobs of a message's recipients at one destination, or puts them off.
void ScheduleCore::take(Message& message,
                        Queue& queue,
                        const std::vector<std::uint32_t>& batch,
                        Now now) {
    for (std::size_t from = 0; from < batch.size(); from += recipients_per_job_max) {
        const auto to = std::min(from + recipients_per_job_max, batch.size());
        std::vector<std::uint32_t> recipients(batch.begin() + static_cast<std::ptrdiff_t>(from),
                                              batch.begin() + static_cast<std::ptrdiff_t>(to));
        const auto due = put_off(queue, now);
        if (!due) {
            add_job(message, queue, std::move(recipients), now.boot);
        } else if (overdue(message.envelope, now.wall)) {
            message.results.add_unasked(recipients, unasked(queue, now.wall));
        } else {
            message.put_off = std::min(message.put_off, *due);
        }
    }
}

std::optional<WallTime> ScheduleCore::put_off(const Queue& queue, Now now) {
    constexpr Duration longest = std::chrono::minutes{5};
    const auto& congestion = queue.congestion;
    if (congestion.gate(now.boot) == Congestion::Gate::closed) {
        const auto wait = std::max(congestion.retry_at() - now.boot, Duration{0});
        return now.wall + wait + jitter(std::max<Duration>(wait / 2, std::chrono::seconds{1}));
    }
    const auto room = limits_.active_max - std::min<std::size_t>(jobs_, limits_.active_max);
    const auto held = queue.waiting.size() + queue.running;
    if (room > 0 && (held == 0 || held < room)) return std::nullopt;
    // It comes back when about half of what waits now is done.
    const auto wait = std::clamp<Duration>(congestion.drain_time(queue.waiting.size()) / 2,
                                           std::chrono::seconds{1}, longest);
    return now.wall + wait + jitter(wait / 4);
}

void ScheduleCore::add_job(Message& message,
                           Queue& queue,
                           std::vector<std::uint32_t> recipients,
                           BootTime now) {
    Job job{message.envelope.id, attempt_number(message.envelope, message.attempts++),
            std::move(recipients), now - message.envelope.wishes.priority * priority_step,
            queue.congestion.down()};
    if (job.probe) queue.congestion.begin_probe();
    if (queue.waiting.empty() && queue.running == 0) queue.congestion.busy_from(now);
    message.waiting_at.push_back(&queue);
    ++message.jobs;
    ++jobs_;
    const auto place = std::ranges::upper_bound(queue.waiting, job.rank, {}, &Job::rank);
    queue.waiting.insert(place, std::move(job));
    queues_.update(queue);
}

// --- messages out

void ScheduleCore::settle_if_done(Active::iterator at, Now now, Effects& out) {
    auto& message = at->second;
    if (message.jobs > 0) return;
    if (message.results.empty() && message.put_off != never) {
        out.push_back(
            Park{at->first, due_when_parked(message.envelope, message.put_off, now.wall)});
    } else {
        const auto due = next_due(message, now.wall);
        out.push_back(Report{message.results.report(std::move(message.envelope), due)});
    }
    active_.erase(at);
}

std::optional<BootTime> ScheduleCore::record_at() const {
    if (unrecorded_.empty()) return std::nullopt;
    return unrecorded_.front().first;
}

void ScheduleCore::record(Now now, Effects& out) {
    while (!unrecorded_.empty() && unrecorded_.front().first <= now.boot) {
        const auto [at, id] = unrecorded_.front();
        unrecorded_.pop_front();
        const auto active = active_.find(id);
        if (active == active_.end() || active->second.record_at != at) continue;
        auto& message = active->second;
        message.record_at.reset();
        out.push_back(Report{message.results.record(message.envelope)});
    }
}

WallTime ScheduleCore::next_due(const Message& message, WallTime now) {
    const auto failures = failures_of(message.envelope, message.results.failures());
    if (failures == 0) return message.put_off == never ? now : std::max(message.put_off, now);
    const auto delay = retry_delay(limits_.retry, failures, random());
    return due_after_failure(message.envelope, limits_.retry, delay, now);
}

void ScheduleCore::remove_waiting(Message& message, Queue& queue, std::deque<Job>::iterator job) {
    if (job->probe) queue.congestion.withdraw_probe();
    queue.waiting.erase(job);
    const auto entry = std::find(message.waiting_at.begin(), message.waiting_at.end(), &queue);
    PH_ASSERT(entry != message.waiting_at.end());
    message.waiting_at.erase(entry);
    --message.jobs;
    --jobs_;
    queues_.update(queue);
}

// The destination went down: what waits for it comes back later.
void ScheduleCore::park_waiting(Queue& queue, Now now, Effects& out) {
    while (!queue.waiting.empty()) {
        const auto message = active_.find(queue.waiting.front().id);
        PH_ASSERT(message != active_.end());
        const auto due = put_off(queue, now);
        message->second.put_off = std::min(message->second.put_off, due.value_or(at_once));
        remove_waiting(message->second, queue, queue.waiting.begin());
        settle_if_done(message, now, out);
    }
}

void ScheduleCore::forget(QueueId id, Withdrawal why, Now now, Effects& out) {
    const auto at = active_.find(id);
    if (at == active_.end()) return;
    auto& message = at->second;
    while (!message.waiting_at.empty()) {
        auto& queue = *message.waiting_at.back();
        const auto job = std::find_if(queue.waiting.begin(), queue.waiting.end(),
                                      [id](const Job& waiting) { return waiting.id == id; });
        PH_ASSERT(job != queue.waiting.end());
        remove_waiting(message, queue, job);
        queues_.let_rest(queue, now.boot);
    }
    if (message.jobs > 0) return;
    const bool attempted = !message.results.empty();
    if (why == Withdrawal::held && !attempted) message.put_off = at_once;
    if (why == Withdrawal::held || attempted) {
        settle_if_done(at, now, out);
    } else {
        active_.erase(at);
    }
}

void ScheduleCore::stop(Now now, Effects& out) {
    stopping_ = true;
    for (auto& [name, queue] : queues_.all()) {
        while (!queue.waiting.empty()) {
            const auto message = active_.find(queue.waiting.front().id);
            message->second.put_off = at_once;
            remove_waiting(message->second, queue, queue.waiting.begin());
            settle_if_done(message, now, out);
        }
    }
    for (auto& [id, worker] : workers_) {
        if (!worker.job) dismiss(id, worker, out);
    }
}

void ScheduleCore::revive(Now now, Effects& out) {
    for (auto& [name, queue] : queues_.all()) {
        queue.congestion.revive();
        queues_.update(queue);
    }
    queues_.expire(now.boot);
    start_workers(out);
}

// --- workers

void ScheduleCore::job_ended(
    WorkerId id, JobResult result, WorkerAfter after, Now now, Effects& out) {
    auto& worker = workers_.at(id);
    auto& queue = *worker.queue;
    PH_ASSERT(worker.job && worker.job->id == result.id && worker.job->attempt == result.attempt);
    const auto message = active_.find(result.id);
    PH_ASSERT(message != active_.end());

    auto& known = message->second;
    const auto health = result.health;
    known.results.add(std::move(result));
    --queue.running;
    ++worker.jobs_done;
    worker.job.reset();

    learn(queue, health, known, now, out);
    --known.jobs;
    --jobs_;
    if (known.jobs > 0 && known.results.has_delivered() && !known.record_at) {
        known.record_at = now.boot + record_after;
        unrecorded_.emplace_back(*known.record_at, message->first);
    }
    settle_if_done(message, now, out);
    if (after == WorkerAfter::gone) {
        remove_worker(id, now);
    } else {
        reassign(id, worker, out);
    }
    start_workers(out);
}

// What the end of a job says about its destination. The job counts as its message's still, so that
// parking what waits does not end that message.
void ScheduleCore::learn(
    Queue& queue, DestinationHealth health, const Message& message, Now now, Effects& out) {
    if (health == DestinationHealth::good) {
        queue.congestion.good(now.boot);
    } else {
        const auto& failures = message.results.failures();
        if (!failures.empty()) queue.last_refusal = failures.back().status.reply.text;
        if (queue.congestion.unreachable(now.boot, random())) park_waiting(queue, now, out);
    }
    queues_.update(queue);
}

void ScheduleCore::worker_gone(WorkerId id, Now now, Effects& out) {
    PH_ASSERT(!workers_.at(id).job);
    remove_worker(id, now);
    start_workers(out);
}

void ScheduleCore::remove_worker(WorkerId id, Now now) {
    const auto at = workers_.find(id);
    auto& queue = *at->second.queue;
    std::erase(queue.idle, id);
    if (at->second.leaving) --leaving_;
    workers_.erase(at);
    --queue.workers;
    queues_.update(queue);
    queues_.let_rest(queue, now.boot);
}

// What a worker does after its job: the next one, linger, or make room for others.
void ScheduleCore::reassign(WorkerId id, Worker& worker, Effects& out) {
    auto& queue = *worker.queue;
    const bool too_many = queue.workers > queue.congestion.window();
    const bool had_its_turn = worker.jobs_done >= jobs_per_turn && free_connections() == 0 &&
                              queues_.hungry().size() > leaving_;
    if (stopping_ || too_many || had_its_turn) {
        dismiss(id, worker, out);
    } else if (!queue.waiting.empty()) {
        assign(id, worker, out);
    } else {
        queue.idle.push_back(id);
    }
}

void ScheduleCore::assign(WorkerId id, Worker& worker, Effects& out) {
    auto& queue = *worker.queue;
    auto& job = worker.job.emplace(std::move(queue.waiting.front()));
    queue.waiting.pop_front();
    ++queue.running;
    auto& message = active_.at(job.id);
    message.waiting_at.erase(
        std::find(message.waiting_at.begin(), message.waiting_at.end(), &queue));

    out.push_back(Assign{id, order_of(job, message.envelope, queue.name)});
    queues_.update(queue);
}

void ScheduleCore::dismiss(WorkerId id, Worker& worker, Effects& out) {
    if (worker.leaving) return;
    worker.leaving = true;
    ++leaving_;
    std::erase(worker.queue->idle, id);
    out.push_back(Dismiss{id});
}

void ScheduleCore::start_worker(Queue& queue, Effects& out) {
    const WorkerId id{++last_worker_};
    auto& worker = workers_[id];
    worker.queue = &queue;
    ++queue.workers;
    out.push_back(StartWorker{id, queue.name});
    assign(id, worker, out);
}

// Gives waiting jobs to workers that idle, then to new ones.
void ScheduleCore::start_workers(Effects& out) {
    if (stopping_) return;
    while (!queues_.hungry().empty() && free_connections() > 0)
        start_worker(*queues_.hungry().front(), out);
    auto& growing = queues_.growing();
    for (auto turns = growing.size(); turns > 0; --turns) {
        auto& queue = *growing.front();
        growing.splice(growing.end(), growing, growing.begin());
        if (!queue.idle.empty()) {
            const auto id = queue.idle.back();
            queue.idle.pop_back();
            assign(id, workers_.at(id), out);
        } else if (queue.workers < queue.congestion.window() &&
                   queue.workers < free_connections()) {
            start_worker(queue, out);
        }
    }
    make_room(out);
}

// At the limit of connections those that idle give way to destinations that have none.
void ScheduleCore::make_room(Effects& out) {
    if (free_connections() > 0) return;
    for (auto worker = workers_.begin();
         worker != workers_.end() && queues_.hungry().size() > leaving_; ++worker) {
        if (!worker->second.job) dismiss(worker->first, worker->second, out);
    }
}

// --- small things

std::size_t ScheduleCore::free_connections() const {
    return limits_.connections_max -
           std::min<std::size_t>(workers_.size(), limits_.connections_max);
}

std::size_t ScheduleCore::wanted() const {
    return stopping_ ? 0 : limits_.active_max - std::min<std::size_t>(jobs_, limits_.active_max);
}

ScheduleCore::Counters ScheduleCore::counters() const {
    Counters counters{
        .active = active_.size(), .workers = workers_.size(), .destinations = queues_.all().size()};
    for (const auto& [name, queue] : queues_.all()) {
        counters.running += queue.running;
        counters.down += queue.congestion.down() ? 1 : 0;
    }
    counters.waiting = jobs_ - counters.running;
    return counters;
}

// splitmix64 (Steele, Lea, Flood 2014): jitter needs no better.
std::uint32_t ScheduleCore::random() {
    auto z = random_state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return static_cast<std::uint32_t>((z ^ (z >> 31)) >> 32);
}

Duration ScheduleCore::jitter(Duration up_to) {
    return Duration{static_cast<Duration::rep>(
        (std::uint64_t{random()} * static_cast<std::uint64_t>(up_to.count())) >> 32)};
}

}  // namespace posthorse::schedule
