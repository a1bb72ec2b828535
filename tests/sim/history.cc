#include "tests/sim/history.h"

#include <algorithm>
#include <span>

namespace posthorse::sim {

namespace {

std::string text_of(std::span<const std::uint32_t> recipients) {
    std::string text;
    for (const std::uint32_t recipient : recipients) text += " " + std::to_string(recipient);
    return text;
}

}  // namespace

void History::tell(QueueId id, const std::string& event) {
    const std::int64_t at = clock_.boot().time_since_epoch().count();
    stories_[id] += "\n    " + std::to_string(at) + " ms: " + event;
}

void History::fail(QueueId id, const std::string& what) {
    if (!violation_) violation_ = what + ": " + id.to_string() + stories_[id];
}

// --- accepting

void History::committing(QueueId id) {
    tell(id, "being committed");
    committing_.insert(id);
}

void History::refused(QueueId id) {
    tell(id, "refused");
    committing_.erase(id);
}

void History::accepted(const Envelope& envelope, const std::vector<Custody>& holders) {
    tell(envelope.id, "accepted");
    committing_.erase(envelope.id);
    accepted_[envelope.id] = envelope.recipients.size();
    counts_.accepted += 1;
    for (const Custody& custody : holders)
        if (!custody.durable)
            fail(envelope.id, "P1: 250 before it was durable on " + custody.holder);
}

// --- delivering

AttemptNumber History::begins_to_send(const Envelope& claimed,
                                      const std::vector<std::uint32_t>& recipients,
                                      bool lease_live) {
    const AttemptNumber number = ++last_;
    tell(claimed.id, "attempt " + std::to_string(number) + " sends to" + text_of(recipients) +
                         ", in doubt " + std::to_string(claimed.in_doubt));
    if (!lease_live) fail(claimed.id, "P3: sent without a lease");
    if (committing_.contains(claimed.id)) fail(claimed.id, "P3: sent before it was accepted");
    for (const std::uint32_t recipient : recipients)
        for (const AttemptNumber earlier : attempts_of_[claimed.id])
            check_against(attempts_.at(earlier), recipient, claimed);
    attempts_[number] = {.id = claimed.id, .recipients = {recipients.begin(), recipients.end()}};
    attempts_of_[claimed.id].push_back(number);
    return number;
}

void History::check_against(const Attempt& earlier,
                            std::uint32_t recipient,
                            const Envelope& claimed) {
    if (!earlier.recipients.contains(recipient)) return;
    if (!earlier.ended && !earlier.died) fail(claimed.id, "P3: two attempts at a time");
    if (!earlier.taken.contains(recipient)) return;
    counts_.duplicates += 1;
    const bool unknown = earlier.lost || earlier.died;
    if (earlier.settled || !unknown) fail(claimed.id, "P4: sent again though the reply had come");
    if (earlier.died == Death::process && claimed.in_doubt == 0)
        fail(claimed.id, "P4: sent again, and nothing says that it was in doubt");
}

void History::took(AttemptNumber attempt, std::uint32_t recipient) {
    Attempt& one = attempts_.at(attempt);
    tell(one.id, "the remote took " + std::to_string(recipient));
    one.taken.insert(recipient);
    if (delivered_[one.id].insert(recipient).second) counts_.delivered += 1;
}

void History::reply_lost(AttemptNumber attempt) {
    Attempt& one = attempts_.at(attempt);
    tell(one.id, "the reply to attempt " + std::to_string(attempt) + " was lost");
    one.lost = true;
}

void History::ended(AttemptNumber attempt) {
    attempts_.at(attempt).ended = true;
}

void History::settled(QueueId id, const std::vector<AttemptNumber>& attempts) {
    tell(id, "settled");
    for (const AttemptNumber attempt : attempts)
        if (!attempts_.at(attempt).lost) attempts_.at(attempt).settled = true;
}

void History::bounced(QueueId id, std::uint32_t recipient) {
    tell(id, "the sender was told about " + std::to_string(recipient));
    if (bounced_[id].insert(recipient).second) counts_.bounced += 1;
}

// --- operating

void History::acting(QueueId id, const std::string& action) {
    tell(id, "an operator: " + action);
}

void History::node_died(Death how) {
    counts_.deaths += 1;
    for (auto& [id, story] : stories_)
        tell(id, how == Death::power ? "the power failed" : "the node died");
    committing_.clear();
    for (auto& [number, attempt] : attempts_) {
        const bool open = !attempt.ended || !(attempt.settled || attempt.lost);
        if (!attempt.died && open) attempt.died = how;
        // An intent that was not synced goes with the power.
        if (attempt.died && how == Death::power) attempt.died = how;
    }
}

std::vector<std::uint32_t> History::missing(QueueId id, std::size_t recipients) const {
    const auto has = [&](const auto& sets, std::uint32_t recipient) {
        const auto found = sets.find(id);
        return found != sets.end() && found->second.contains(recipient);
    };
    std::vector<std::uint32_t> missing;
    for (std::uint32_t recipient = 0; recipient < recipients; ++recipient)
        if (!has(delivered_, recipient) && !has(bounced_, recipient)) missing.push_back(recipient);
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
        for (const std::uint32_t recipient : missing(id, recipients))
            fail(id, "P2: recipient " + std::to_string(recipient) +
                         " did not get it, nor was its sender told");
    }
}

}  // namespace posthorse::sim
