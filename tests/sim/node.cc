#include "tests/sim/node.h"

#include <algorithm>
#include <utility>

#include "daemon/report/settle_decision.h"
#include "proto/types/assert.h"
#include "tests/sim/forgetful_store.h"

namespace posthorse::sim {

using namespace std::chrono_literals;

namespace {

constexpr schedule::Limits limits{
    .active_max = 20,
    .connections_max = 6,
    .connections_per_destination_max = 3,
    .retry = {.retry_min = 5s, .retry_max = 60s},
};

// What a body holds follows from its name, so that any chunk of it can be checked.
std::string text_of(const Envelope& envelope, std::uint32_t index) {
    return envelope.message_id + "/" + std::to_string(index);
}

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
        if (c != ' ') history.bounced(*id, static_cast<std::uint32_t>(c - '0'));
}

}  // namespace

Node::Node(Surroundings around, IntentHabit intents)
    : around_(around),
      life_(around.world),
      home_(around.world, life_, 0ms, 0ms),
      pace_(around.world, life_, 0ms, 25ms),
      core_(limits, schedule::RouteTable{}, around.world.random()) {
    auto opened = storage::open_memory_store(around_.disk, home_, pace_);
    PH_ASSERT(opened.has_value());
    store_ = *std::move(opened);
    if (intents == IntentHabit::forgotten)
        store_ = std::make_unique<ForgetfulStore>(std::move(store_), home_);
    queue_ = std::make_unique<replication::ReplicatedQueue>(
        around_.world, *store_, around_.control, around_.holder,
        replication::ReplicatedQueue::Settings{
            .random = [this] { return static_cast<std::uint32_t>(around_.world.random()); }});
    queue_->on_due([this] { pump(); });
    queue_->on_acted([this](QueueId id, replication::Action action) { acted(id, action); });
    around_.control.restart();
    queue_->start([this](const Result<void>& started) {
        up_ = started.has_value();
        if (up_) pump();
    });
    tick();
}

// Nothing that it posted runs any more; then its parts go, in whatever state they are.
Node::~Node() {
    life_.end();
    around_.holder.on_ack({});
    around_.control.watch({});
    queue_.reset();
    store_.reset();
}

void Node::tick() {
    queue_->tick();
    life_.after(100ms, [this] { tick(); });
}

// --- accepting

void Node::submit(Envelope envelope, Heard heard) {
    queue_->begin(100, [this, envelope = std::move(envelope),
                        heard = std::move(heard)](Result<QueueId> id) mutable {
        if (!id) return heard(false);
        envelope.id = *id;
        envelope.accepted_at = around_.world.wall();
        envelope.expires_at = envelope.accepted_at + 96h;
        envelope.warn_at = never;
        envelope.due_at = envelope.accepted_at;
        append(envelope, 1, std::make_shared<Heard>(std::move(heard)));
    });
}

void Node::append(const Envelope& envelope, std::uint32_t index, std::shared_ptr<Heard> heard) {
    if (index > envelope.chunk_count) return commit(envelope, std::move(heard));
    queue_->append(envelope.id, index, make_chunk(text_of(envelope, index)),
                   [this, envelope, index, heard](const Result<void>& stored) {
                       if (stored) return append(envelope, index + 1, heard);
                       queue_->abort(envelope.id);
                       (*heard)(false);
                   });
}

void Node::commit(const Envelope& envelope, std::shared_ptr<Heard> heard) {
    around_.history.committing(envelope.id);
    queue_->commit(envelope, make_chunk(text_of(envelope, 0)),
                   [this, envelope, heard](const Result<void>& committed) {
                       if (!committed) {
                           around_.history.refused(envelope.id);
                           return (*heard)(false);
                       }
                       accepted(envelope);
                       (*heard)(true);
                   });
}

void Node::accepted(const Envelope& envelope) {
    std::vector<Custody> holders{{"the node", durable_on(around_.disk, envelope)}};
    const auto& in_sync = around_.control.read().find(envelope.id.partition())->in_sync;
    if (in_sync.size() > 1)
        holders.push_back({"the other holder", around_.holder.durable(envelope)});
    around_.history.accepted(envelope, holders);
    Envelope claimed = envelope;
    claimed.version = 1;
    offer(std::move(claimed));
}

void Node::act(QueueId id, replication::Action action) {
    constexpr const char* names[] = {"retry", "hold", "resume", "remove"};
    around_.history.acting(id, names[static_cast<std::size_t>(action)]);
    if (action == replication::Action::remove) around_.history.removing(id);
    queue_->act(id, action, "simulated", [](const Result<Envelope>&) {});
}

void Node::acted(QueueId id, replication::Action action) {
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

// --- scheduling

void Node::pump() {
    const std::size_t wanted = core_.wanted();
    if (!up_ || claiming_ || wanted == 0) return;
    claiming_ = true;
    queue_->claim(wanted, [this](Result<std::vector<Envelope>> due) {
        claiming_ = false;
        if (due)
            for (Envelope& envelope : *due) offer(std::move(envelope));
        sleep_until_due();
    });
}

void Node::sleep_until_due() {
    queue_->next_due([this, number = ++sleeping_](Result<WallTime> due) {
        const Duration wait = due ? *due - around_.world.wall() : Duration{1s};
        life_.after(std::clamp<Duration>(wait, 100ms, 10s), [this, number] {
            if (number == sleeping_) pump();
        });
    });
}

void Node::offer(Envelope envelope) {
    active_[envelope.id] = envelope;
    schedule::Effects out;
    core_.offer(std::move(envelope), now(), out);
    carry_out(std::move(out));
}

void Node::carry_out(schedule::Effects effects) {
    for (schedule::Effect& effect : effects) {
        if (auto* assign = std::get_if<schedule::Assign>(&effect)) {
            auto attempt = std::make_shared<Attempt>();
            attempt->worker = assign->worker;
            attempt->claimed = active_.at(assign->job.id);
            attempt->job = std::move(assign->job);
            life_.after(around_.world.between(1ms, 200ms), [this, attempt] { connect(attempt); });
        } else if (auto* dismiss = std::get_if<schedule::Dismiss>(&effect)) {
            home_.post([this, worker = dismiss->worker] {
                schedule::Effects out;
                core_.worker_gone(worker, now(), out);
                carry_out(std::move(out));
            });
        } else if (auto* park = std::get_if<schedule::Park>(&effect)) {
            active_.erase(park->id);
            queue_->park(park->id, park->due);
        } else if (auto* ended = std::get_if<schedule::Report>(&effect)) {
            active_.erase(ended->ended.envelope.id);
            report(std::move(ended->ended));
        }
    }
}

void Node::report(Ended ended) {
    const QueueId id = ended.envelope.id;
    const report::Decision decision =
        report::decide(ended, around_.world.wall(), replication::InDoubtPolicy::resend);
    replication::Settlement settlement;
    settlement.id = id;
    settlement.outcomes = decision.outcomes;
    settlement.next_due = ended.next_due;
    settlement.ended_attempts = ended.ended_attempts;
    if (!decision.bounced.empty())
        settlement.notices.push_back(bounce(ended.envelope, decision.bounced));

    std::vector<AttemptNumber> attempts;
    for (const std::uint32_t attempt : ended.ended_attempts)
        if (const auto sent = sent_[id].extract(attempt)) attempts.push_back(sent.mapped());
    if (sent_[id].empty()) sent_.erase(id);
    queue_->settle(std::move(settlement),
                   [this, id, attempts = std::move(attempts)](const Result<void>& settled) {
                       if (settled) around_.history.settled(id, attempts);
                       pump();
                   });
}

NewMessage Node::bounce(const Envelope& cause, const std::vector<std::uint32_t>& recipients) const {
    Envelope notice;
    notice.recipients = {{.address = cause.sender, .last = {}}};
    notice.message_id = std::string(bounce_prefix) + cause.id.to_string();
    for (const std::uint32_t recipient : recipients)
        notice.message_id += " " + std::to_string(recipient);
    notice.accepted_at = around_.world.wall();
    notice.expires_at = notice.accepted_at + 96h;
    notice.warn_at = never;
    notice.due_at = notice.accepted_at;
    return {notice, make_chunk(text_of(notice, 0))};
}

// --- delivering

void Node::connect(AttemptRef attempt) {
    if (around_.remote.mood(attempt->job.destination) == Mood::unreachable)
        return defer(attempt, "connection refused", DestinationHealth::unreachable);
    const Intent intent{
        .id = attempt->job.id,
        .attempt = attempt->job.attempt,
        .recipients = attempt->job.recipients,
        .remote = attempt->job.destination,
        .started = around_.world.wall(),
    };
    queue_->intend(intent, [this, attempt](const Result<void>& recorded) {
        if (recorded) return read_body(attempt);
        defer(attempt, "the attempt could not be recorded", DestinationHealth::good);
    });
}

void Node::read_body(AttemptRef attempt) {
    if (attempt->next_chunk > attempt->claimed.chunk_count) {
        life_.after(around_.world.between(1ms, 300ms), [this, attempt] { send_dot(attempt); });
        return;
    }
    queue_->chunk(attempt->job.id, attempt->next_chunk, [this, attempt](Result<Chunk> chunk) {
        const bool gone = !chunk && !queue_->may_send_dot(attempt->job.id);
        if (!gone && (!chunk || **chunk != text_of(attempt->claimed, attempt->next_chunk)))
            around_.history.fail(attempt->job.id, "P2: a chunk is not what was sent");
        attempt->next_chunk += 1;
        read_body(attempt);
    });
}

void Node::send_dot(AttemptRef attempt) {
    if (!queue_->may_send_dot(attempt->job.id))
        return defer(attempt, "not to be sent any more", DestinationHealth::good);
    const BootTime at = around_.world.boot();
    attempt->number = around_.history.begins_to_send(attempt->claimed, attempt->job.recipients,
                                                     around_.control.lease_live(at, 0ms));
    sent_[attempt->job.id][attempt->job.attempt] = attempt->number;
    // The octets are on their way: whether this node lives on makes no difference to the remote.
    around_.world.after(around_.world.between(1ms, 200ms),
                        [remote = &around_.remote, history = &around_.history, attempt] {
                            for (std::size_t i = 0; i < attempt->job.recipients.size(); ++i) {
                                attempt->answers.push_back(remote->answer(
                                    attempt->job.destination, attempt->job.addresses[i]));
                                if (attempt->answers.back().code != 250) continue;
                                history->took(attempt->number, attempt->job.recipients[i]);
                                hear_bounce(attempt->claimed, *history);
                            }
                        });
    life_.after(around_.world.between(201ms, 500ms), [this, attempt] { reply(attempt); });
}

void Node::reply(AttemptRef attempt) {
    around_.history.ended(attempt->number);
    JobResult result = result_of(*attempt);
    const bool lost = around_.remote.loses_this_reply();
    if (lost) around_.history.reply_lost(attempt->number);
    result.in_doubt = lost;
    for (std::size_t i = 0; i < attempt->job.recipients.size(); ++i) {
        const Answer answer = lost ? Answer{0, "connection lost"} : attempt->answers[i];
        const OutcomeKind kind = answer.code == 250   ? OutcomeKind::delivered
                                 : answer.code == 550 ? OutcomeKind::failed
                                                      : OutcomeKind::deferred;
        result.outcomes.push_back({attempt->job.recipients[i],
                                   kind,
                                   {.reply = {answer.code, {}, answer.text},
                                    .remote = attempt->job.destination,
                                    .tls = {},
                                    .at = around_.world.wall()}});
    }
    end(attempt, std::move(result), lost ? WorkerAfter::gone : WorkerAfter::lingers);
}

void Node::defer(AttemptRef attempt, std::string why, DestinationHealth health) {
    JobResult result = result_of(*attempt);
    result.health = health;
    for (const std::uint32_t recipient : attempt->job.recipients)
        result.outcomes.push_back(
            {recipient,
             OutcomeKind::deferred,
             {.reply = {0, {}, why}, .remote = {}, .tls = {}, .at = around_.world.wall()}});
    end(attempt, std::move(result), WorkerAfter::gone);
}

void Node::end(AttemptRef attempt, JobResult result, WorkerAfter after) {
    schedule::Effects out;
    core_.job_ended(attempt->worker, std::move(result), after, now(), out);
    carry_out(std::move(out));
}

JobResult Node::result_of(const Attempt& attempt) const {
    JobResult result;
    result.id = attempt.job.id;
    result.attempt = attempt.job.attempt;
    result.destination = attempt.job.destination;
    return result;
}

}  // namespace posthorse::sim
