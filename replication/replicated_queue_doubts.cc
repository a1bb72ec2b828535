// Attempts whose end nobody here knows (P4): replicated_queue.h.
#include <algorithm>

#include "replication/gathering.h"
#include "replication/replicated_queue.h"
#include "storage/queue_ops.h"

namespace posthorse::replication {

// Nothing of a partition is claimed before the attempts in doubt are: their messages would be sent
// as if there were none.
void ReplicatedQueue::find_doubts(PartitionId id) {
    store_.intents(id, while_alive([this, id](Result<std::vector<Intent>> intents) {
                       if (!intents || ownership_.find(id) == nullptr) return;
                       std::map<QueueId, std::vector<Intent>> by_message;
                       for (auto& intent : *intents)
                           by_message[intent.id].push_back(std::move(intent));
                       for (auto& [message, open] : by_message)
                           note_doubts(message, std::move(open));
                       claimable_.insert(id);
                       wake();
                   }));
}

// Its own attempts of before a crash nobody else can tell of; those of others may be told.
void ReplicatedQueue::note_doubts(QueueId id, std::vector<Intent> open) {
    const auto* partition = owned(id);
    store_.claim_one(
        partition->state().epoch, id,
        while_alive([this, id, open = std::move(open)](Result<Envelope> before) mutable {
            // Its record cannot be read: when it is mended, claim() meets it.
            if (!before && owned(id) != nullptr) unread_doubts_[id] = std::move(open);
            if (before && still_owns(id)) put_in_doubt(*before, std::move(open));
        }));
}

void ReplicatedQueue::put_in_doubt(const Envelope& claimed, std::vector<Intent> open) {
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
           while_alive([this, open = std::move(open)](Result<void> stored) {
               if (!stored) return;  // the store failed, or it is taken up again elsewhere
               in_doubt_ += open.size();
               for (const auto& intent : open) {
                   if (intent.by != control_.self())
                       doubts_.add(intent.by, {intent.id, intent.attempt});
               }
               wake();
           }));
}

// Due, and nobody told.
void ReplicatedQueue::decide_doubts(Envelope claimed, std::vector<Envelope>& hand_out) {
    const auto id = claimed.id;
    doubts_.decided(id);
    if (settings_.in_doubt == InDoubtPolicy::hold) {
        auto after = storage::settle_doubts(claimed, claimed.due_at);
        after = storage::hold(std::move(after), "in doubt: the reply of " +
                                                    claimed.doubts.front().remote + " was lost");
        return submit(id, storage::settle(claimed, std::move(after), {}, {}), [](Result<void>) {});
    }
    // A notice has nobody who could be told: it is sent again.
    const bool bounces = settings_.in_doubt == InDoubtPolicy::bounce && bounce_in_doubt_;
    if (bounces && !claimed.sender.empty()) {
        claimed_.emplace(id, Claimed{claimed, {}, {}});
        return bounce_in_doubt_(std::move(claimed));
    }
    // What is decided is written down with the attempt that follows, or decided again.
    claimed = storage::settle_doubts(claimed, claimed.due_at);
    claimed_.emplace(id, Claimed{claimed, {}, {}});
    hand_out.push_back(std::move(claimed));
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
                     while_alive([this, told = std::move(told)](Result<Envelope> found) mutable {
                         if (!found || !still_owns(found->id)) return;
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
