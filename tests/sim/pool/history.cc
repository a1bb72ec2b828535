#include "tests/sim/pool/history.h"

#include <algorithm>
#include <span>

namespace posthorse::sim::pool {
namespace {

std::string text_of(std::span<const std::uint32_t> recipients) {
    std::string text;
    for (const auto recipient : recipients) text += " " + std::to_string(recipient);
    return text;
}

template <class Sets>
bool has(const Sets& sets, QueueId id, std::uint32_t recipient) {
    const auto found = sets.find(id);
    return found != sets.end() && found->second.contains(recipient);
}

}  // namespace

void History::tell(QueueId id, const std::string& event) {
    const auto at = world_.boot().time_since_epoch().count();
    stories_[id] += "\n    " + std::to_string(at) + " ms: " + event;
    if (!journal_.told()) return;
    const auto name = names_.find(id);
    journal_.note(id.to_string() + (name == names_.end() ? "" : " " + name->second) + ": " + event);
}

void History::fail(QueueId id, const std::string& what) {
    if (journal_.violation()) return;
    journal_.fail(what + ": " + id.to_string() + stories_[id]);
}

// ------------------------------------------------------------------ accepting

void History::committing(const Envelope& envelope,
                         ProcessNumber process,
                         const std::string& where) {
    const auto partition = std::to_string(envelope.id.partition().value);
    names_[envelope.id] = envelope.message_id + " in " + partition;
    tell(envelope.id, "being committed at " + where);
    committing_[envelope.id] = process;
}

void History::refused(QueueId id, bool unknown) {
    tell(id, unknown ? "nobody knows whether it was accepted" : "refused");
    committing_.erase(id);
    (unknown ? counts_.undecided : counts_.refused) += 1;
    if (unknown) return;
    refused_.insert(id);
    if (attempts_of_.contains(id)) fail(id, "its client heard a refusal, and it had been sent");
}

void History::accepted(const Envelope& envelope, const std::vector<Custody>& holders) {
    const auto id = envelope.id;
    std::string where;
    for (const auto& custody : holders) where += " " + custody.holder;
    tell(id, "accepted, held by" + where);
    committing_.erase(id);
    accepted_[id] = envelope.recipients.size();
    counts_.accepted += 1;
    if (attempts_of_.contains(id) || gone_.contains(id)) return;  // another owner deals with it
    for (const auto& custody : holders) {
        if (!custody.durable) fail(id, "P1: 250 before it was durable on " + custody.holder);
    }
}

// ------------------------------------------------------------------ delivering

void History::intended(const Intent& intent) {
    intended_[intent.id].insert(intent.recipients.begin(), intent.recipients.end());
    open_.emplace(intent.id, intent.attempt);
}

AttemptNumber History::begins_to_send(const Envelope& claimed,
                                      std::uint32_t attempt,
                                      const std::vector<std::uint32_t>& recipients,
                                      const Right& right) {
    const AttemptNumber number = ++last_;
    const auto id = claimed.id;
    names_.try_emplace(id, claimed.message_id + " in " + std::to_string(id.partition().value));
    tell(id, "attempt " + std::to_string(attempt) + " of " + right.who + " sends to" +
                 text_of(recipients) + ", in doubt " + std::to_string(claimed.in_doubt));
    check_message(claimed, right);
    for (const auto recipient : recipients) {
        for (const auto earlier : attempts_of_[id])
            check_against(attempts_.at(earlier), recipient, claimed);
    }
    in_doubt_[id] = std::max(in_doubt_[id], claimed.in_doubt);
    attempts_[number] = {.id = id,
                         .name = attempt,
                         .process = right.process,
                         .in_doubt = claimed.in_doubt,
                         .recipients = {recipients.begin(), recipients.end()},
                         .alone = right.ignorant.has_value()};
    attempts_of_[id].push_back(number);
    return number;
}

void History::check_message(const Envelope& claimed, const Right& right) {
    const auto id = claimed.id;
    if (!right.lease_live) fail(id, "P3: sent without a lease by " + right.who);
    if (!right.owner) fail(id, "P3: sent by " + right.who + ", which does not own it");
    if (right.ignorant && !right.unevictable)
        fail(id, "P4: sent by " + right.who + " before " + *right.ignorant + " knew of it");
    if (right.ignorant) counts_.alone += 1;
    const auto committing = committing_.find(id);
    if (committing != committing_.end() && committing->second == right.process)
        fail(id, "P3: sent before it was accepted");
    if (refused_.contains(id)) fail(id, "sent, though its client heard a refusal");
    if (gone_.contains(id) && !forgotten(id)) fail(id, "it had come to its end, and is sent again");
}

void History::check_against(const Attempt& earlier,
                            std::uint32_t recipient,
                            const Envelope& claimed) {
    if (!earlier.recipients.contains(recipient)) return;
    if (!earlier.decided && !earlier.ended) fail(claimed.id, "P3: two attempts at a time");
    if (!earlier.taken.contains(recipient)) return;
    counts_.duplicates += 1;
    const bool counted = claimed.in_doubt > earlier.in_doubt;
    if (counted)
        (earlier.lost ? counts_.dup_lost : counts_.dup_in_doubt) += 1;
    else if (power_took_.contains({earlier.id, earlier.name}) || rotted_.contains(earlier.id))
        counts_.dup_power += 1;
    else if (earlier.alone)
        counts_.dup_alone += 1;
    else
        fail(claimed.id, "P4: sent again to " + std::to_string(recipient) +
                             ", and nothing says that it was in doubt");
    if (earlier.settled && !earlier.lost && !forgotten(claimed.id))
        fail(claimed.id, "P4: sent again to " + std::to_string(recipient) +
                             " though the reply had been settled");
}

void History::took(AttemptNumber attempt, std::uint32_t recipient) {
    auto& one = attempts_.at(attempt);
    tell(one.id, "the remote took " + std::to_string(recipient));
    one.taken.insert(recipient);
    if (delivered_[one.id].insert(recipient).second) counts_.delivered += 1;
}

void History::refused(AttemptNumber attempt, std::uint32_t recipient) {
    auto& one = attempts_.at(attempt);
    tell(one.id, "the remote refused " + std::to_string(recipient));
    refusals_[one.id].insert(recipient);
}

void History::decided(AttemptNumber attempt) {
    attempts_.at(attempt).decided = true;
}

void History::reply_lost(AttemptNumber attempt) {
    auto& one = attempts_.at(attempt);
    tell(one.id, "the reply to attempt " + std::to_string(one.name) + " is lost");
    one.lost = true;
}

void History::settled(QueueId id, const std::vector<AttemptNumber>& attempts, bool done) {
    tell(id, done ? "settled for good" : "settled");
    for (const auto number : attempts) {
        auto& attempt = attempts_.at(number);
        attempt.settled = true;
        open_.erase({id, attempt.name});
    }
    if (done) gone_.insert(id);
}

void History::bounced(QueueId notice, QueueId id, std::uint32_t recipient) {
    tell(id, "the sender was told about " + std::to_string(recipient));
    auto& notices = bounced_[id][recipient];
    if (notices.empty()) counts_.bounced += 1;
    notices.insert(notice);
    check_bounces(id, recipient, notices);
}

bool History::was_in_doubt(QueueId id, std::uint32_t recipient) const {
    const auto of = attempts_of_.find(id);
    if (of == attempts_of_.end()) return false;
    return std::ranges::any_of(of->second, [&](AttemptNumber number) {
        const auto& attempt = attempts_.at(number);
        return attempt.recipients.contains(recipient) && (attempt.lost || !attempt.settled);
    });
}

// A notice that was sent while nobody else could be told of it, or of what caused it, or whose
// record went with the power.
bool History::was_on_its_own(QueueId notice) const {
    const auto of = attempts_of_.find(notice);
    if (of == attempts_of_.end()) return false;
    return std::ranges::any_of(of->second, [&](AttemptNumber number) {
        const auto& attempt = attempts_.at(number);
        return attempt.alone || power_took_.contains({attempt.id, attempt.name});
    });
}

void History::check_bounces(QueueId id, std::uint32_t recipient, const std::set<QueueId>& notices) {
    const auto which = std::to_string(recipient);
    const bool doubtful = was_in_doubt(id, recipient) || forgotten(id);
    const bool alone =
        std::ranges::any_of(notices, [&](QueueId notice) { return was_on_its_own(notice); });
    if (notices.size() > 1 && !doubtful && !alone)
        fail(id, "the sender was told twice about " + which);
    const bool in_doubt = has(intended_, id, recipient) || unvouched_.contains(id.partition());
    const bool reason =
        has(refusals_, id, recipient) || expired_.contains(id) || (in_doubt_may_bounce && in_doubt);
    if (!reason) fail(id, "the sender was told about " + which + " without a reason");
    if (has(delivered_, id, recipient) && !doubtful)
        fail(id, "the sender was told about " + which + ", who has it");
}

// ------------------------------------------------------------------ operating, trouble

void History::removed(QueueId id) {
    tell(id, "an operator removed it");
    counts_.removed += 1;
    gone_.insert(id);
}

void History::process_ended(ProcessNumber process) {
    std::erase_if(committing_, [&](const auto& entry) { return entry.second == process; });
    for (auto& [number, attempt] : attempts_) {
        if (attempt.process != process || attempt.ended) continue;
        attempt.ended = true;
        if (!attempt.settled)
            tell(attempt.id, "the node of attempt " + std::to_string(attempt.name) + " ends");
    }
}

std::vector<History::AttemptName> History::open_attempts() const {
    return {open_.begin(), open_.end()};
}

void History::power_took(const AttemptName& attempt) {
    tell(attempt.first, "the power took the record of attempt " + std::to_string(attempt.second));
    power_took_.insert(attempt);
}

// ------------------------------------------------------------------ the end

std::vector<std::uint32_t> History::missing(QueueId id, std::size_t recipients) const {
    std::vector<std::uint32_t> missing;
    for (std::uint32_t recipient = 0; recipient < recipients; ++recipient) {
        if (!has(delivered_, id, recipient) && !has(bounced_, id, recipient))
            missing.push_back(recipient);
    }
    return missing;
}

bool History::all_ended() const {
    return std::ranges::all_of(accepted_, [&](const auto& message) {
        return removed_.contains(message.first) || missing(message.first, message.second).empty();
    });
}

void History::check_end() {
    for (const auto& [id, recipients] : accepted_) {
        if (removed_.contains(id)) continue;
        for (const auto recipient : missing(id, recipients))
            fail(id, "P2: recipient " + std::to_string(recipient) +
                         " did not get it, nor was its sender told");
    }
}

}  // namespace posthorse::sim::pool
