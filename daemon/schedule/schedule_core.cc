#include "daemon/schedule/schedule_core.h"

#include <algorithm>
#include <utility>

#include "proto/types/assert.h"

namespace posthorse::schedule {
namespace {

// A due time in the past: the message goes back as it was.
constexpr WallTime at_once{};

constexpr Duration remembered_for = std::chrono::minutes{5};

// Destinations that are down are probed sooner, and for longer, than a single message is retried.
RetryBounds down_bounds(const RetryBounds& retry) {
    return {std::min<Duration>(retry.retry_min, std::chrono::minutes{1}),
            std::min<Duration>(retry.retry_max, std::chrono::minutes{15})};
}

// A time that must not be slept through, unless it has passed.
WallTime no_later_than(WallTime due, WallTime limit, WallTime now) {
    return limit > now ? std::min(due, limit) : due;
}

// When its sender hears of it, whatever attempts there were, because it named that time (RFC 2852).
WallTime told_at(const Envelope& envelope) {
    switch (envelope.wishes.deliver_by.otherwise) {
        case DeliverBy::Otherwise::give_back:
            return envelope.wishes.deliver_by.at;
        case DeliverBy::Otherwise::notify:
            return envelope.warn_at;
        case DeliverBy::Otherwise::unsaid:
            break;
    }
    return never;
}

// Not sooner after the last attempt because a notice came between.
WallTime earliest_attempt(const Envelope& envelope, Duration retry_min, WallTime now) {
    WallTime earliest = now;
    for (const auto& recipient : envelope.recipients) {
        if (recipient.state == RecipientState::pending)
            earliest = std::max(earliest, recipient.last.at + retry_min);
    }
    return std::min(earliest, now + retry_min);
}

bool overdue(const Envelope& envelope, WallTime now) {
    return now >= envelope.expires_at || now >= envelope.warn_at;
}

}  // namespace

ScheduleCore::ScheduleCore(Limits limits, RouteTable routes, std::uint64_t seed)
    : limits_(limits), routes_(std::move(routes)), random_state_(seed) {
    PH_ASSERT(limits_.active_max > 0 && limits_.connections_max > 0);
}

// --- messages in

void ScheduleCore::offer(Envelope envelope, Now now, Effects& out) {
    expire_rested(now.boot);
    const auto id = envelope.id;
    // A message that is active already was claimed anew under a later epoch: its attempt ends
    // first.
    if (stopping_ || jobs_ >= limits_.active_max || active_.contains(id)) {
        const bool again = active_.contains(id);
        out.push_back(Park{id, again ? now.wall + limits_.retry.retry_min : at_once});
        return;
    }
    // Fresh from its client, and for later (RFC 4865): until then it is in the queue alone.
    if (envelope.release_at > now.wall) {
        out.push_back(Park{id, envelope.release_at});
        return;
    }
    if (now.wall >= told_at(envelope)) {
        const auto due = earliest_attempt(envelope, limits_.retry.retry_min, now.wall);
        out.push_back(Report{{.envelope = std::move(envelope), .next_due = due}});
        return;
    }
    const auto batches = pending_by_destination(envelope);
    const auto message = active_.emplace(id, Message{}).first;
    message->second.envelope = std::move(envelope);
    for (const auto& [destination, recipients] : batches) {
        take(message->second, queue_of(destination), recipients, now);
    }
    settle_if_done(message, now, out);
    start_workers(out);
    for (const auto& [destination, recipients] : batches) let_rest(queues_.at(destination), now);
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
            give_up(message, queue, Job{.recipients = std::move(recipients)}, now);
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
    message.waiting_at.push_back(&queue);
    ++message.jobs;
    ++jobs_;
    const auto place = std::ranges::upper_bound(queue.waiting, job.rank, {}, &Job::rank);
    queue.waiting.insert(place, std::move(job));
    update_waiting(queue);
}

// Recipients that nobody was asked about, but whose sender must hear now: of the delay or the end.
void ScheduleCore::give_up(Message& message, const Queue& queue, const Job& job, Now now) {
    RecipientOutcome outcome;
    outcome.status.at = now.wall;
    outcome.status.reply.enhanced = {4, 4, 1};
    outcome.status.reply.text = queue.last_refusal.empty()
                                    ? "too much mail waits for this destination"
                                    : "destination is down: " + queue.last_refusal;
    for (const auto recipient : job.recipients) {
        outcome.recipient = recipient;
        message.outcomes.push_back(outcome);
    }
}

// --- messages out

void ScheduleCore::settle_if_done(Active::iterator at, Now now, Effects& out) {
    auto& message = at->second;
    if (message.jobs > 0) return;
    const auto& envelope = message.envelope;
    std::move(message.delivered.begin(), message.delivered.end(),
              std::back_inserter(message.outcomes));
    std::move(message.delivered_by.begin(), message.delivered_by.end(),
              std::back_inserter(message.ended_attempts));
    if (message.outcomes.empty() && message.put_off != never) {
        auto due = no_later_than(message.put_off, envelope.expires_at, now.wall);
        due = no_later_than(due, envelope.warn_at, now.wall);
        out.push_back(Park{at->first, due});
    } else {
        const auto due = next_due(message, now);
        out.push_back(Report{{.envelope = std::move(message.envelope),
                              .outcomes = std::move(message.outcomes),
                              .ended_attempts = std::move(message.ended_attempts),
                              .in_doubt = std::move(message.in_doubt),
                              .next_due = due,
                              .end = message.end}});
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
        Ended so_far{.envelope = message.envelope,
                     .outcomes = std::exchange(message.delivered, {}),
                     .ended_attempts = std::exchange(message.delivered_by, {}),
                     .in_doubt = {},
                     .next_due = message.envelope.due_at,
                     .goes_on = true};
        for (const auto& outcome : so_far.outcomes) {
            auto& recipient = message.envelope.recipients[outcome.recipient];
            recipient.state = RecipientState::delivered;
            recipient.last = outcome.status;
        }
        out.push_back(Report{std::move(so_far)});
    }
}

WallTime ScheduleCore::next_due(const Message& message, Now now) {
    std::uint32_t failures = 0;
    for (const auto& outcome : message.outcomes) {
        if (outcome.kind != OutcomeKind::deferred) continue;
        const auto& recipient = message.envelope.recipients[outcome.recipient];
        failures = std::max(failures, recipient.attempts + 1);
    }
    if (failures == 0)
        return message.put_off == never ? now.wall : std::max(message.put_off, now.wall);
    const auto earliest = now.wall + limits_.retry.retry_min;
    const auto due = now.wall + retry_delay(limits_.retry, failures, random());
    const auto attempt =
        std::max(earliest, no_later_than(due, message.envelope.expires_at, now.wall));
    return no_later_than(attempt, told_at(message.envelope), now.wall);
}

void ScheduleCore::remove_waiting(Message& message, Queue& queue, std::deque<Job>::iterator job) {
    if (job->probe) queue.congestion.withdraw_probe();
    queue.waiting.erase(job);
    const auto entry = std::find(message.waiting_at.begin(), message.waiting_at.end(), &queue);
    PH_ASSERT(entry != message.waiting_at.end());
    message.waiting_at.erase(entry);
    --message.jobs;
    --jobs_;
    update_waiting(queue);
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
        let_rest(queue, now);
    }
    if (message.jobs > 0) return;
    const bool attempted = !message.outcomes.empty() || !message.delivered.empty();
    if (why == Withdrawal::held && !attempted) message.put_off = at_once;
    if (why == Withdrawal::held || attempted) {
        settle_if_done(at, now, out);
    } else {
        active_.erase(at);
    }
}

void ScheduleCore::stop(Now now, Effects& out) {
    stopping_ = true;
    for (auto& [name, queue] : queues_) {
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
    for (auto& [name, queue] : queues_) {
        queue.congestion.revive();
        update_waiting(queue);
    }
    expire_rested(now.boot);
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
    keep(known, std::move(result));
    --queue.running;
    ++worker.jobs_done;
    worker.job.reset();

    learn(queue, health, known, now, out);
    --known.jobs;
    --jobs_;
    if (known.jobs > 0 && !known.delivered.empty() && !known.record_at) {
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

// What was delivered may be recorded before the message ends; its failures wait for the others, so
// that its sender hears once.
void ScheduleCore::keep(Message& message, JobResult result) {
    const auto before = message.delivered.size();
    for (auto& outcome : result.outcomes) {
        const bool delivered = outcome.kind == OutcomeKind::delivered;
        (delivered ? message.delivered : message.outcomes).push_back(std::move(outcome));
    }
    const bool some = message.delivered.size() > before && !result.in_doubt;
    (some ? message.delivered_by : message.ended_attempts).push_back(result.attempt);
    if (result.in_doubt) message.in_doubt.push_back(result.attempt);
    message.end = std::max(message.end.value_or(AttemptEnd::completed), result.end);
}

// What the end of a job says about its destination. The job counts as its message's still, so that
// parking what waits does not end that message.
void ScheduleCore::learn(
    Queue& queue, DestinationHealth health, const Message& message, Now now, Effects& out) {
    if (health == DestinationHealth::good) {
        queue.congestion.good(now.boot);
    } else {
        if (!message.outcomes.empty()) {
            queue.last_refusal = message.outcomes.back().status.reply.text;
        }
        if (queue.congestion.unreachable(now.boot, random())) park_waiting(queue, now, out);
    }
    update_waiting(queue);
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
    update_waiting(queue);
    let_rest(queue, now);
}

// What a worker does after its job: the next one, linger, or make room for others.
void ScheduleCore::reassign(WorkerId id, Worker& worker, Effects& out) {
    auto& queue = *worker.queue;
    const bool too_many = queue.workers > queue.congestion.window();
    const bool had_its_turn =
        worker.jobs_done >= jobs_per_turn && free_connections() == 0 && hungry_.size() > leaving_;
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

    const auto& envelope = message.envelope;
    DeliveryJob order{.id = job.id,
                      .attempt = job.attempt,
                      .destination = queue.name,
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
    out.push_back(Assign{id, std::move(order)});
    update_waiting(queue);
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
    while (!hungry_.empty() && free_connections() > 0) start_worker(*hungry_.front(), out);
    for (auto turns = growing_.size(); turns > 0; --turns) {
        auto& queue = *growing_.front();
        growing_.splice(growing_.end(), growing_, growing_.begin());
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
    for (auto worker = workers_.begin(); worker != workers_.end() && hungry_.size() > leaving_;
         ++worker) {
        if (!worker->second.job) dismiss(worker->first, worker->second, out);
    }
}

// --- destinations

ScheduleCore::Queue& ScheduleCore::queue_of(const std::string& destination) {
    const auto found = queues_.find(destination);
    if (found != queues_.end()) return found->second;
    Queue queue{.name = destination,
                .congestion =
                    Congestion(limits_.connections_per_destination_max, down_bounds(limits_.retry)),
                .waiting = {},
                .idle = {},
                .place = {},
                .rest = {},
                .last_refusal = {}};
    return queues_.emplace(destination, std::move(queue)).first->second;
}

// Puts the queue on the list that it belongs on; it keeps its place when that does not change.
void ScheduleCore::update_waiting(Queue& queue) {
    Waiting* wanted = nullptr;
    if (!queue.waiting.empty()) {
        if (queue.workers == 0) {
            wanted = &hungry_;
        } else if (!queue.idle.empty() || queue.workers < queue.congestion.window()) {
            wanted = &growing_;
        }
    }
    if (wanted == queue.list) return;
    if (queue.list != nullptr) queue.list->erase(queue.place);
    queue.list = wanted;
    if (wanted != nullptr) queue.place = wanted->insert(wanted->end(), &queue);
}

void ScheduleCore::let_rest(Queue& queue, Now now) {
    if (queue.workers > 0 || !queue.waiting.empty()) return;
    if (queue.rest) rested_.erase(*queue.rest);
    queue.rest.reset();
    if (queue.congestion.pristine()) {
        const auto name = queue.name;
        queues_.erase(name);
        return;
    }
    const auto until = std::max(now.boot, queue.congestion.retry_at()) + remembered_for;
    queue.rest = rested_.emplace(until, &queue);
    if (rested_.size() > remembered_max) expire_rested(rested_.begin()->first);
}

void ScheduleCore::expire_rested(BootTime now) {
    while (!rested_.empty() && rested_.begin()->first <= now) {
        auto& queue = *rested_.begin()->second;
        rested_.erase(rested_.begin());
        queue.rest.reset();
        if (queue.workers > 0 || !queue.waiting.empty()) continue;
        const auto name = queue.name;
        queues_.erase(name);
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
        .active = active_.size(), .workers = workers_.size(), .destinations = queues_.size()};
    for (const auto& [name, queue] : queues_) {
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
