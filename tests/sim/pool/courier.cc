#include "tests/sim/pool/courier.h"

#include <algorithm>
#include <utility>

#include "proto/types/assert.h"
#include "storage/queue_ops.h"
#include "tests/sim/pool/node.h"

namespace posthorse::sim::pool {
namespace {

using namespace std::chrono_literals;

constexpr schedule::Limits limits{
    .active_max = 20,
    .connections_max = 6,
    .connections_per_destination_max = 3,
    .retry = {.retry_min = 2s, .retry_max = 15s},
};
constexpr Duration sleep_max = 10s;
constexpr Duration final_dot_timeout = 5s;
constexpr std::string_view bounce_prefix = "bounce ";

// "bounce <id> 0 2"
void hear_bounce(const Envelope& notice, History& history) {
    std::string_view rest = notice.message_id;
    if (!rest.starts_with(bounce_prefix)) return;
    rest.remove_prefix(bounce_prefix.size());
    const auto id = QueueId::parse(rest.substr(0, QueueId::text_length));
    PH_ASSERT(id.has_value());
    rest.remove_prefix(QueueId::text_length);
    for (const char c : rest)
        if (c != ' ') history.bounced(notice.id, *id, static_cast<std::uint32_t>(c - '0'));
}

}  // namespace

Courier::Courier(Surroundings& around,
                 Process& process,
                 replication::ReplicatedQueue& queue,
                 Owner owner)
    : around_(around),
      process_(process),
      queue_(queue),
      owner_(owner),
      core_(limits, schedule::RouteTable{}, around.world.random()) {
    queue_.on_due([this] { pump(); });
    queue_.on_acted([this](QueueId id, replication::Action action) { acted(id, action); });
    queue_.on_told(
        [this](Envelope claimed, std::uint32_t attempt, std::vector<RecipientOutcome> outcomes) {
            told(std::move(claimed), attempt, std::move(outcomes));
        });
    queue_.on_bounce_in_doubt([this](Envelope claimed) {
        const auto wall = now().wall;
        const auto decision = report::fail_doubtful(claimed, {0, {5, 4, 2}, "in doubt"}, wall);
        std::vector<std::uint32_t> attempts;
        for (const auto& doubt : claimed.doubts) {
            attempts.push_back(doubt.attempt);
            sent_[claimed.id].erase(doubt.attempt);  // nobody learns how it ended
        }
        settle({.envelope = std::move(claimed), .ended_attempts = attempts, .next_due = wall},
               decision);
    });
}

void Courier::start() {
    started_ = true;
    pump();
}

void Courier::stop() {
    schedule::Effects out;
    core_.stop(now(), out);
    carry_out(std::move(out));
}

void Courier::go_on() {
    core_.go_on();
    pump();
}

// ------------------------------------------------------------------ scheduling

void Courier::pump() {
    const std::size_t wanted = core_.wanted();
    if (!started_ || wanted == 0) return;
    if (std::exchange(claiming_, true)) {
        claim_again_ = true;
        return;
    }
    queue_.claim(wanted, [this](Result<std::vector<Envelope>> due) {
        claiming_ = false;
        if (due)
            for (auto& envelope : *due) offer(std::move(envelope));
        if (std::exchange(claim_again_, false)) return pump();
        queue_.next_due([this](const Result<WallTime>& next) {
            wake_by(next ? *next : now().wall + Duration{1s});
        });
    });
}

// Unless it wakes before.
void Courier::wake_by(WallTime due) {
    const auto delay = std::clamp<Duration>(due - now().wall, 10ms, sleep_max);
    const auto at = around_.world.boot() + delay;
    if (wake_at_ && *wake_at_ <= at) return;
    wake_at_ = at;
    process_.after(delay, [this, at] {
        if (wake_at_ != at) return;
        wake_at_.reset();
        pump();
    });
}

void Courier::offer(Envelope envelope) {
    schedule::Effects out;
    if (!active_.try_emplace(envelope.id, envelope).second) again_.insert(envelope.id);
    core_.offer(std::move(envelope), now(), out);
    carry_out(std::move(out));
}

void Courier::acted(QueueId id, replication::Action action) {
    using replication::Action;
    schedule::Effects out;
    switch (action) {
        case Action::remove:
            core_.forget(id, schedule::Withdrawal::removed, now(), out);
            break;
        case Action::hold:
            core_.forget(id, schedule::Withdrawal::held, now(), out);
            break;
        case Action::retry:
        case Action::resume:
            core_.revive(now(), out);
            break;
    }
    carry_out(std::move(out));
}

void Courier::carry_out(schedule::Effects effects) {
    std::ranges::move(effects, std::back_inserter(effects_));
    if (std::exchange(carrying_out_, true)) return;
    for (std::size_t next = 0; next < effects_.size(); ++next)
        carry_out_one(std::move(effects_[next]));
    effects_.clear();
    carrying_out_ = false;
    record_in_time();
}

void Courier::record_in_time() {
    const auto at = core_.record_at();
    if (!at || record_at_ == at) return;
    record_at_ = at;
    process_.after(*at - now().boot, [this] {
        record_at_.reset();
        schedule::Effects out;
        core_.record(now(), out);
        carry_out(std::move(out));
    });
}

void Courier::carry_out_one(schedule::Effect effect) {
    if (const auto* one = std::get_if<schedule::Assign>(&effect)) {
        assign(*one);
    } else if (const auto* dismiss = std::get_if<schedule::Dismiss>(&effect)) {
        process_.after(Duration{}, [this, worker = dismiss->worker] {
            schedule::Effects out;
            core_.worker_gone(worker, now(), out);
            carry_out(std::move(out));
        });
    } else if (const auto* park = std::get_if<schedule::Park>(&effect)) {
        const auto again = again_.find(park->id);
        if (again == again_.end())
            active_.erase(park->id);
        else
            again_.erase(again);
        queue_.park(park->id, park->due);
        wake_by(park->due);
    } else if (auto* ended = std::get_if<schedule::Report>(&effect)) {
        if (!ended->ended.goes_on) active_.erase(ended->ended.envelope.id);
        report(std::move(ended->ended));
    }
}

void Courier::assign(const schedule::Assign& assign) {
    const auto attempt = std::make_shared<Attempt>();
    attempt->worker = assign.worker;
    attempt->claimed = active_.at(assign.job.id);
    attempt->job = assign.job;
    process_.after(around_.world.between(1ms, 200ms), [this, attempt] { connect(attempt); });
}

void Courier::report(Ended ended) {
    const auto decision = report::decide(ended, now().wall, around_.queue.in_doubt);
    if (now().wall >= ended.envelope.expires_at) around_.history.expired(ended.envelope.id);
    settle(std::move(ended), decision);
}

void Courier::settle(Ended ended, const report::Decision& decision) {
    const auto id = ended.envelope.id;
    replication::Settlement settlement{.id = id,
                                       .outcomes = decision.outcomes,
                                       .next_due = ended.next_due,
                                       .end = ended.end,
                                       .ended_attempts = ended.ended_attempts,
                                       .goes_on = ended.goes_on,
                                       .hold_why = decision.hold_why};
    if (!decision.bounced.empty())
        settlement.notices.push_back(bounce(ended.envelope, decision.bounced));
    std::vector<AttemptNumber> attempts;
    for (const auto attempt : ended.ended_attempts)
        if (const auto sent = sent_[id].extract(attempt)) attempts.push_back(sent.mapped());
    if (sent_[id].empty()) sent_.erase(id);
    const auto after =
        storage::apply_outcomes(ended.envelope, settlement.outcomes, settlement.next_due);
    queue_.settle(std::move(settlement),
                  [this, id, attempts = std::move(attempts), done = !after.has_value(),
                   goes_on = ended.goes_on, due = ended.next_due](const Result<void>& stored) {
                      if (stored) around_.history.settled(id, attempts, done);
                      if (!stored && stored.error().code == Errc::not_found && !attempts.empty()) {
                          around_.counts.late += 1;
                          around_.history.tell(id, "its attempt at " + owner_.name + " ended late");
                      }
                      if (goes_on) return;
                      if (!done) wake_by(due);
                      pump();
                  });
}

// The old owner's outcome is this node's settlement, with its bounce.
void Courier::told(Envelope claimed,
                   std::uint32_t attempt,
                   std::vector<RecipientOutcome> outcomes) {
    around_.counts.told += 1;
    around_.history.tell(
        claimed.id, owner_.name + " is told how attempt " + std::to_string(attempt) + " ended");
    const bool others = claimed.doubts.size() > 1;
    const auto due = others ? claimed.due_at : now().wall;
    report({.envelope = std::move(claimed),
            .outcomes = std::move(outcomes),
            .ended_attempts = {attempt},
            .next_due = due});
}

NewMessage Courier::bounce(const Envelope& cause,
                           const std::vector<std::uint32_t>& recipients) const {
    Envelope notice;
    notice.recipients = {{.address = cause.sender, .last = {}}};
    notice.message_id = std::string(bounce_prefix) + cause.id.to_string();
    for (const auto recipient : recipients) notice.message_id += " " + std::to_string(recipient);
    notice.accepted_at = notice.due_at = owner_.clock.wall();
    notice.expires_at = notice.accepted_at + 96h;
    notice.warn_at = never;
    return {notice, text_of(notice, 0)};
}

// ------------------------------------------------------------------ delivering

void Courier::connect(const AttemptRef& attempt) {
    const auto mood = around_.remote.mood(attempt->job.destination);
    if (mood == Mood::unreachable)
        return defer(attempt, "connection refused", DestinationHealth::unreachable);
    const Intent intent{.id = attempt->job.id,
                        .attempt = attempt->job.attempt,
                        .recipients = attempt->job.recipients,
                        .remote = attempt->job.destination,
                        .started = owner_.clock.wall()};
    around_.history.intended(intent);
    attempt->intended = around_.world.boot();
    attempt->unevictable = owner_.control.unevictable();
    queue_.intend(intent, [this, attempt](const Result<void>& recorded) {
        attempt->unevictable = attempt->unevictable || owner_.control.unevictable();
        if (recorded) return read_body(attempt);
        defer(attempt, "the attempt could not be recorded", DestinationHealth::good);
    });
}

void Courier::read_body(const AttemptRef& attempt) {
    if (attempt->next_chunk > attempt->claimed.chunk_count) {
        if (around_.remote.mood(attempt->job.destination) == Mood::vanishing)
            return defer(attempt, "connection lost", DestinationHealth::good);
        return process_.after(around_.world.between(1ms, 300ms),
                              [this, attempt] { send_dot(attempt); });
    }
    queue_.chunk(attempt->job.id, attempt->next_chunk, [this, attempt](const Result<Chunk>& chunk) {
        const auto id = attempt->job.id;
        const bool gone = !chunk && !queue_.may_send_dot(id, attempt->job.attempt);
        if (gone) return defer(attempt, "it is gone", DestinationHealth::good);
        if (!chunk || **chunk != *text_of(attempt->claimed, attempt->next_chunk))
            around_.history.fail(id, "P2: a chunk is not what was sent");
        attempt->next_chunk += 1;
        read_body(attempt);
    });
}

// The octets are on their way then: whether this node lives on makes no difference to the remote.
void Courier::send_dot(const AttemptRef& attempt) {
    if (!queue_.may_send_dot(attempt->job.id, attempt->job.attempt)) {
        around_.counts.no_dot += 1;
        return defer(attempt, "not to be sent any more", DestinationHealth::good);
    }
    attempt->number = around_.history.begins_to_send(
        attempt->claimed, attempt->job.attempt, attempt->job.recipients,
        {.process = owner_.process,
         .who = owner_.name,
         .lease_live = owner_.control.lease_live(owner_.clock.boot(), Duration{}),
         .owner = around_.overseer.owns(owner_.control, attempt->job.id),
         .ignorant =
             around_.overseer.ignorant(attempt->job.id, attempt->job.attempt, attempt->intended),
         .unevictable = attempt->unevictable});
    sent_[attempt->job.id][attempt->job.attempt] = attempt->number;
    auto& world = around_.world;
    const auto decides = around_.remote.takes(attempt->job.destination);
    const bool lost = around_.remote.loses_this_reply();
    world.after(decides, [around = &around_, attempt, lost] { decide(*around, *attempt, lost); });
    if (lost && world.chance(50)) return reply_after(final_dot_timeout, attempt, true);
    reply_after(decides + world.between(1ms, 100ms), attempt, lost);
}

void Courier::reply_after(Duration delay, const AttemptRef& attempt, bool lost) {
    process_.after(delay, [this, attempt, lost] { reply(attempt, lost); });
}

void Courier::decide(Surroundings& around, Attempt& attempt, bool lost) {
    auto& history = around.history;
    const auto& job = attempt.job;
    for (std::size_t i = 0; i < job.recipients.size(); ++i) {
        attempt.answers.push_back(around.remote.answer(job.destination, job.addresses[i]));
        const auto code = attempt.answers.back().code;
        if (code == 550) history.refused(attempt.number, job.recipients[i]);
        if (code != 250) continue;
        history.took(attempt.number, job.recipients[i]);
        hear_bounce(attempt.claimed, history);
    }
    history.decided(attempt.number);
    if (lost) history.reply_lost(attempt.number);
}

void Courier::reply(const AttemptRef& attempt, bool lost) {
    JobResult result = result_of(*attempt);
    for (std::size_t i = 0; i < attempt->job.recipients.size(); ++i) {
        const Answer answer = lost ? Answer{0, "connection lost"} : attempt->answers[i];
        const auto kind = answer.code == 250   ? OutcomeKind::delivered
                          : answer.code == 550 ? OutcomeKind::failed
                                               : OutcomeKind::deferred;
        result.outcomes.push_back({attempt->job.recipients[i],
                                   kind,
                                   {.reply = {answer.code, {}, answer.text},
                                    .remote = attempt->job.destination,
                                    .tls = {},
                                    .at = owner_.clock.wall(),
                                    .reply_lost = lost}});
    }
    end(attempt, std::move(result), lost ? WorkerAfter::gone : WorkerAfter::lingers);
}

void Courier::defer(const AttemptRef& attempt, const std::string& why, DestinationHealth health) {
    JobResult result = result_of(*attempt);
    result.health = health;
    for (const auto recipient : attempt->job.recipients)
        result.outcomes.push_back(
            {recipient,
             OutcomeKind::deferred,
             {.reply = {0, {}, why}, .remote = {}, .tls = {}, .at = owner_.clock.wall()}});
    end(attempt, std::move(result), WorkerAfter::gone);
}

void Courier::end(const AttemptRef& attempt, JobResult result, WorkerAfter after) {
    schedule::Effects out;
    core_.job_ended(attempt->worker, std::move(result), after, now(), out);
    carry_out(std::move(out));
}

JobResult Courier::result_of(const Attempt& attempt) const {
    JobResult result;
    result.id = attempt.job.id;
    result.attempt = attempt.job.attempt;
    result.destination = attempt.job.destination;
    return result;
}

}  // namespace posthorse::sim::pool
