// What operators see and do: replicated_queue.h, "operate".
#include <algorithm>

#include "replication/gathering.h"
#include "replication/replicated_queue.h"
#include "storage/queue_ops.h"

namespace posthorse::replication {
namespace {

using Envelopes = std::vector<Envelope>;

std::string said_of(Action action, const std::string& why) {
    switch (action) {
        case Action::retry:
            return "made due at once: " + why;
        case Action::hold:
            return "held: " + why;
        case Action::resume:
            return "resumed: " + why;
        case Action::remove:
            break;
    }
    return "removed: " + why;
}

Error is_taken_up(QueueId id) {
    return {Errc::conflict, id.to_string() + " is being taken over by this node; try again"};
}

}  // namespace

void ReplicatedQueue::act(QueueId id, Action action, std::string why, Completion<Envelope> done) {
    const auto claimed = claimed_.find(id);
    if (claimed != claimed_.end())
        return apply_action(claimed->second.envelope, action, why, std::move(done));
    auto* partition = owned(id);
    if (partition == nullptr) return done(no_such_message(id));
    // Its attempts in doubt are claimed first: an action in between would hide them.
    if (!claimable_.contains(id.partition())) return done(is_taken_up(id));
    store_.claim_one(partition->state().epoch, id,
                     while_alive([this, action, since = takeovers_, why = std::move(why),
                                  done = std::move(done)](Result<Envelope> current) mutable {
                         if (!current) return done(std::move(current));
                         if (!still_owns(current->id, since))
                             return done(no_such_message(current->id));
                         apply_action(std::move(*current), action, why, std::move(done));
                     }));
}

// `current` is claimed: by an attempt under way, or just now for this action alone.
void ReplicatedQueue::apply_action(Envelope current,
                                   Action action,
                                   const std::string& why,
                                   Completion<Envelope> done) {
    const auto now = clock_.wall();
    std::optional<Envelope> after;
    switch (action) {
        case Action::retry:
            after = storage::retry(current, now);
            break;
        case Action::hold:
            after = storage::hold(current, why);
            break;
        case Action::resume:
            after = storage::resume(current, now);
            break;
        case Action::remove:
            break;
    }
    if (after) after = storage::note(std::move(*after), event(said_of(action, why)));
    std::vector<std::uint32_t> ended;
    auto claim_after = storage::ClaimAfter::ends;
    const auto claimed = claimed_.find(current.id);
    if (claimed != claimed_.end()) {
        if (after) {
            claimed->second.envelope = *after;
            claim_after = storage::ClaimAfter::stays;
        } else {
            ended = std::move(claimed->second.intended);  // a restart finds nothing in doubt
            claimed_.erase(claimed);  // the attempt under way ends without the dot, or for nobody
        }
    }
    auto shown = after ? *after : current;
    auto change = storage::settle(current, std::move(after), {}, std::move(ended));
    change.claim = claim_after;
    submit(current.id, std::move(change),
           while_alive([this, action, shown = std::move(shown),
                        done = std::move(done)](Result<void> stored) mutable {
               if (!stored) return done(stored.error());
               const auto id = shown.id;
               done(std::move(shown));
               if (acted_) acted_(id, action);
               if (action == Action::retry || action == Action::resume) wake();
           }));
}

void ReplicatedQueue::claim_one(QueueId id, Completion<Envelope> done) {
    auto* partition = owned(id);
    if (partition == nullptr) return done(no_such_message(id));
    if (claimed_.contains(id))
        return done(Error{Errc::conflict, id.to_string() + " is being delivered; try again"});
    if (!claimable_.contains(id.partition())) return done(is_taken_up(id));
    store_.claim_one(partition->state().epoch, id,
                     while_alive([this, since = takeovers_,
                                  done = std::move(done)](Result<Envelope> found) mutable {
                         if (found && !still_owns(found->id, since))
                             return done(no_such_message(found->id));
                         if (found) claimed_.emplace(found->id, Claimed{*found, {}, {}});
                         done(std::move(found));
                     }));
}

void ReplicatedQueue::find(QueueId id, Completion<Envelope> done) {
    if (owned(id) == nullptr) return done(no_such_message(id));  // or a copy of another's
    store_.envelope(id, std::move(done));
}

void ReplicatedQueue::chunk(QueueId id, std::uint32_t index, Completion<Chunk> done) {
    const auto claimed = claimed_.find(id);
    if (index == 0 && claimed != claimed_.end() && claimed->second.head)
        return done(claimed->second.head);
    const bool is_due = claimed != claimed_.end() && index <= claimed->second.envelope.chunk_count;
    store_.chunk(
        id, index,
        while_alive([this, id, is_due, done = std::move(done)](Result<Chunk> bytes) mutable {
            const auto is = [&](Errc code) { return !bytes && bytes.error().code == code; };
            const bool lacks = is_due && is(Errc::not_found) && claimed_.contains(id);
            if (lacks || is(Errc::corrupt)) ownership_.fetch_body(id);
            done(std::move(bytes));
        }));
}

void ReplicatedQueue::list(QueueId after, std::size_t limit, Completion<Envelopes> done) {
    const auto& partitions = ownership_.all();
    if (partitions.empty()) return done(Envelopes{});
    auto all = std::make_shared<Gathering<Envelope>>();
    all->missing = partitions.size();
    all->done = [limit, done = std::move(done)](Result<Envelopes> found) mutable {
        if (!found) return done(std::move(found));
        std::sort(found->begin(), found->end(),
                  [](const Envelope& a, const Envelope& b) { return a.id < b.id; });
        if (found->size() > limit) found->resize(limit);
        done(std::move(found));
    };
    for (const auto& [id, partition] : partitions) {
        store_.list(id, after, limit, [all](Result<Envelopes> part) { all->add(std::move(part)); });
    }
}

void ReplicatedQueue::summarize(SummaryPlace from,
                                storage::QueueSummary so_far,
                                std::size_t limit,
                                Completion<Summarized> done) {
    const auto partition = ownership_.all().lower_bound(from.partition);
    if (partition == ownership_.all().end())
        return done(Summarized{.summary = std::move(so_far), .next = {}});
    const PartitionId id = partition->first;
    const auto after = id == from.partition ? from.at : storage::DuePosition{};
    store_.summarize(
        id, {.summary = std::move(so_far), .to = after}, limit, clock_.wall(),
        [id, done = std::move(done)](Result<storage::SummaryStep> step) mutable {
            if (!step) return done(step.error());
            const SummaryPlace same{.partition = id, .at = step->to};
            const SummaryPlace following{.partition = PartitionId{id.value + 1}};
            done(Summarized{std::move(step->summary), step->at_end ? following : same});
        });
}

QueueCounters ReplicatedQueue::counters() const {
    QueueCounters counters{.claimed = claimed_.size(),
                           .in_doubt = in_doubt_,
                           .undecided = doubts_.size(),
                           .under_replicated = ownership_.short_mail().messages(),
                           .intents_alone = ownership_.intents_waived(),
                           .takeovers = takeovers_,
                           .not_taken_up = ownership_.not_taken_up(),
                           .copying = ownership_.copying(),
                           .mended = ownership_.mended()};
    if (const auto oldest = ownership_.short_mail().oldest())
        counters.under_replicated_age = std::max(clock_.wall() - *oldest, Duration{});
    for (const auto& [id, partition] : ownership_.all()) {
        counters.messages += store_.count(id);
        counters.bytes += store_.bytes(id);
        counters.lag += partition->lag();
    }
    const auto stats = store_.stats();
    counters.held = stats.messages - std::min(stats.messages, counters.messages);
    counters.held_bytes = stats.bytes - std::min(stats.bytes, counters.bytes);
    return counters;
}

bool ReplicatedQueue::idle() const {
    return claimed_.empty() && arriving_.empty() &&
           std::all_of(ownership_.all().begin(), ownership_.all().end(),
                       [](const auto& entry) { return entry.second->under_way() == 0; });
}

}  // namespace posthorse::replication
