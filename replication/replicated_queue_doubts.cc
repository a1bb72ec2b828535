// Attempts whose end nobody here knows (P4): replicated_queue.h.
#include <algorithm>

#include "replication/gathering.h"
#include "replication/replicated_queue.h"
#include "storage/queue_ops.h"

namespace posthorse::replication {

namespace {

constexpr std::size_t page_size = 500;
constexpr Duration vouch_every = std::chrono::seconds{2};

// What a node of which nothing more is known may have done with a message.
Intent any_attempt(const Envelope& envelope, WallTime now) {
    Intent intent{.id = envelope.id,
                  .attempt = attempt_number(envelope, attempt_index_max),
                  .remote = "an unknown server",
                  .started = now};
    for (std::uint32_t i = 0; i < envelope.recipients.size(); ++i) {
        if (envelope.recipients[i].state == RecipientState::pending) intent.recipients.push_back(i);
    }
    return intent;
}

}  // namespace

// Nothing of a partition is claimed before the attempts in doubt are: their messages would be sent
// as if there were none.
void ReplicatedQueue::find_doubts(PartitionId id) {
    store_.intents(id, while_alive([this, id](Result<std::vector<Intent>> intents) {
                       const auto* partition = ownership_.find(id);
                       if (!intents || partition == nullptr) return;
                       Open open;
                       for (auto& intent : *intents) open[intent.id].push_back(std::move(intent));
                       if (partition->state().unvouched)
                           return doubt_all(id, {}, std::make_shared<Open>(std::move(open)));
                       for (auto& [message, of_it] : open) note_doubts(message, std::move(of_it));
                       served(id);
                   }));
}

// What is here may have been sent by a node that is no more, page by page.
void ReplicatedQueue::doubt_all(PartitionId id, QueueId after, std::shared_ptr<Open> open) {
    store_.list(id, after, page_size,
                while_alive([this, id, open = std::move(open)](Result<std::vector<Envelope>> page) {
                    if (!page || ownership_.find(id) == nullptr) return;
                    if (page->empty()) {
                        to_vouch_.insert(id);
                        return served(id);
                    }
                    const auto left = std::make_shared<std::size_t>(page->size());
                    const auto last = page->back().id;
                    for (const auto& envelope : *page) {
                        auto& of_it = (*open)[envelope.id];
                        of_it.push_back(any_attempt(envelope, clock_.wall()));
                        note_doubts(envelope.id, std::move(of_it), [this, id, last, open, left] {
                            if (--*left == 0) doubt_all(id, last, open);
                        });
                    }
                }));
}

// Until the pool's value says so: else the next owner would put all of it in doubt again.
void ReplicatedQueue::vouch() {
    const auto now = clock_.boot();
    if (to_vouch_.empty() || now < next_vouch_) return;
    next_vouch_ = now + vouch_every;
    std::erase_if(to_vouch_, [this](PartitionId id) {
        const auto* partition = ownership_.find(id);
        return partition == nullptr || !partition->state().unvouched;
    });
    for (const auto id : to_vouch_)
        control_.propose(Vouch{id, ownership_.find(id)->state().epoch}, [](Result<void>) {});
}

void ReplicatedQueue::served(PartitionId id) {
    claimable_.insert(id);
    if (const auto since = ownership_.taken_over_since(id); since && taken_over_)
        taken_over_(clock_.boot() - *since);
    wake();
}

// Its own attempts of before a crash nobody else can tell of; those of others may be told.
void ReplicatedQueue::note_doubts(QueueId id,
                                  std::vector<Intent> open,
                                  UniqueFunction<void()> done) {
    const auto* partition = owned(id);
    store_.claim_one(partition->state().epoch, id,
                     while_alive([this, id, since = takeovers_, open = std::move(open),
                                  done = std::move(done)](Result<Envelope> before) mutable {
                         if (before && still_owns(id, since))
                             return put_in_doubt(*before, std::move(open), std::move(done));
                         if (before || owned(id) == nullptr) return;
                         // Its record cannot be read: when it is mended, claim() meets it.
                         unread_doubts_[id] = std::move(open);
                         if (done) done();
                     }));
}

void ReplicatedQueue::put_in_doubt(const Envelope& claimed,
                                   std::vector<Intent> open,
                                   UniqueFunction<void()> done) {
    const auto now = clock_.wall();
    const bool others = std::any_of(open.begin(), open.end(), [&](const Intent& intent) {
        return control_.read().member(intent.by) != nullptr && intent.by != control_.self();
    });
    const auto due = others ? now + settings_.in_doubt_wait : now;
    Envelope after = claimed;
    std::vector<std::uint32_t> ended;
    for (const auto& intent : open) {
        after = storage::mark_in_doubt(std::move(after), intent, due);
        after = storage::note(std::move(after), event("attempt " + std::to_string(intent.attempt) +
                                                      " at " + intent.remote +
                                                      " was cut off before its end was known: in "
                                                      "doubt"));
        ended.push_back(intent.attempt);
    }
    auto change = storage::settle(claimed, after, {}, std::move(ended));
    submit(after.id, std::move(change),
           while_alive(
               [this, open = std::move(open), done = std::move(done)](Result<void> stored) mutable {
                   if (!stored) return;  // the store failed, or it is taken up again elsewhere
                   in_doubt_ += open.size();
                   for (const auto& intent : open) {
                       if (intent.by != control_.self() && intent.by != NodeId{})
                           doubts_.add(intent.by, {intent.id, intent.attempt});
                       if (doubt_) doubt_(intent);
                   }
                   if (done) return done();
                   wake();
               }));
}

// Due, and nobody told.
void ReplicatedQueue::decide_doubts(Envelope claimed, std::vector<Envelope>& hand_out) {
    const auto id = claimed.id;
    auto decided = storage::settle_doubts(claimed, claimed.due_at, claims_cut_off(claimed));
    doubts_.decided(id);
    // A notice has nobody who could be told: it is sent again.
    const bool bounces =
        settings_.in_doubt == InDoubtPolicy::bounce && bounce_in_doubt_ && !claimed.sender.empty();
    if (bounces) {
        claimed_.emplace(id, Claimed{claimed, {}, {}});
        return bounce_in_doubt_(std::move(claimed));
    }
    if (is_poison(decided)) return set_aside(claimed, held_as_poison(std::move(decided)));
    if (settings_.in_doubt == InDoubtPolicy::hold) {
        auto after =
            storage::hold(std::move(decided),
                          "in doubt: the reply of " + claimed.doubts.front().remote + " was lost");
        return submit(id, storage::settle(claimed, std::move(after), {}, {}), [](Result<void>) {});
    }
    if (may_be_last(claimed, decided)) return put_apart(claimed, std::move(decided));
    // What is decided is written down with the attempt that follows, or decided again.
    claimed_.emplace(id, Claimed{decided, {}, {}});
    hand_out.push_back(std::move(decided));
}

// ------------------------------------------------------------------ the guard against poison

// Of what is in doubt still. Attempts of one claim ran side by side: they are one end. Who made
// them is up and silent while they go on, and knows its own of this start.
std::uint32_t ReplicatedQueue::claims_cut_off(const Envelope& claimed) const {
    std::set<std::uint32_t> claims;
    for (const auto& doubt : claimed.doubts) {
        const AttemptName name{claimed.id, doubt.attempt};
        const bool here = attempts_.is_under_way(name) || attempts_.has_late(name);
        const bool there = ownership_.is_up(doubt.by) && doubts_.asks(doubt.by, name);
        if (doubt.by != NodeId{} && !here && !there) claims.insert(claim_of(doubt.attempt));
    }
    return static_cast<std::uint32_t>(claims.size());
}

bool ReplicatedQueue::is_poison(const Envelope& after) const {
    return settings_.poison_attempts > 0 && after.cut_off >= settings_.poison_attempts;
}

Envelope ReplicatedQueue::held(Envelope after, const std::string& why) const {
    return storage::note(storage::hold(std::move(after), why), event("held: " + why));
}

Envelope ReplicatedQueue::held_as_poison(Envelope after) const {
    const auto why = "poison: " + std::to_string(after.cut_off) +
                     " deliveries in a row were cut off by the end of their node, or stalled";
    return held(std::move(after), why);
}

void ReplicatedQueue::set_aside(const Envelope& claimed, Envelope held) {
    submit(claimed.id, storage::settle(claimed, held, {}, {}),
           while_alive([this, held = std::move(held)](Result<void> stored) {
               if (stored && poison_) poison_(held);
           }));
}

// One more end of its node, and it is held.
bool ReplicatedQueue::may_be_last(const Envelope& before, const Envelope& decided) const {
    const auto limit = settings_.poison_attempts;
    return limit > 1 && decided.cut_off == limit - 1 && decided.cut_off > before.cut_off;
}

void ReplicatedQueue::put_apart(const Envelope& claimed, Envelope decided) {
    constexpr std::uint32_t parts = 1000;
    const auto wait = settings_.poison_spread * (settings_.random() % parts) / parts;
    const auto text =
        "cut off " + std::to_string(decided.cut_off) + " times in a row: once more, by itself";
    auto after = storage::park(std::move(decided), clock_.wall() + wait);
    after = storage::note(std::move(after), event(text));
    submit(claimed.id, storage::settle(claimed, std::move(after), {}, {}),
           while_alive([this](Result<void> stored) {
               if (stored) wake();
           }));
}

void ReplicatedQueue::ask_about_doubts(NodeId node) {
    if (!ownership_.is_up(node)) return;
    for (auto& [id, names] : doubts_.due(node, clock_.boot())) {
        if (const auto* partition = ownership_.find(id))
            ownership_.send(node, Ask{{id, partition->state().epoch}, std::move(names)});
    }
}

void ReplicatedQueue::told(Tell tell) {
    for (auto& attempt : tell.attempts) told_of(std::move(attempt));
}

// When the node that made it does not know either, there is nobody left to ask: it is due, and the
// policy decides.
void ReplicatedQueue::told_of(ToldAttempt told) {
    const auto id = told.attempt.id;
    const auto* partition = owned(id);
    if (partition == nullptr) return;
    store_.claim_one(partition->state().epoch, id,
                     while_alive([this, since = takeovers_,
                                  told = std::move(told)](Result<Envelope> found) mutable {
                         if (!found || !still_owns(found->id, since)) return;
                         doubts_.decided(told.attempt);
                         const auto id = found->id;
                         const auto named = [&](const Doubt& doubt) {
                             return doubt.attempt == told.attempt.attempt;
                         };
                         const auto& doubts = found->doubts;
                         if (std::none_of(doubts.begin(), doubts.end(), named))
                             return store_.release(id);
                         if (!told.known || !told_) {
                             auto after = storage::retry(*found, clock_.wall());
                             return submit(id, storage::settle(*found, std::move(after), {}, {}),
                                           while_alive([this](Result<void> stored) {
                                               if (stored) wake();
                                           }));
                         }
                         claimed_.emplace(id, Claimed{*found, {}, {}});
                         told_(*std::move(found), told.attempt.attempt, std::move(told.outcomes));
                     }));
}

}  // namespace posthorse::replication
