#include "daemon/report/settle_decision.h"

#include <algorithm>

namespace posthorse::report {
namespace {

using Outcomes = std::vector<RecipientOutcome>;

void fail_in_doubt(Outcomes& outcomes) {
    for (auto& outcome : outcomes) {
        if (outcome.kind != OutcomeKind::deferred || !outcome.status.reply_lost) continue;
        outcome.kind = OutcomeKind::failed;
        outcome.status.reply.enhanced = {5, 4, 2};
        outcome.status.reply.text += "; it may have been delivered, and is not tried again";
    }
}

// What is pending when the given outcomes are applied, in order.
std::vector<std::uint32_t> pending_after(const Envelope& envelope, const Outcomes& outcomes) {
    std::vector<bool> pending;
    for (const auto& recipient : envelope.recipients) {
        pending.push_back(recipient.state == RecipientState::pending);
    }
    for (const auto& outcome : outcomes) {
        if (outcome.kind != OutcomeKind::deferred) pending[outcome.recipient] = false;
    }
    std::vector<std::uint32_t> indices;
    for (std::uint32_t i = 0; i < pending.size(); ++i) {
        if (pending[i]) indices.push_back(i);
    }
    return indices;
}

RecipientOutcome expired(std::uint32_t index, const Recipient& recipient, WallTime now) {
    RecipientOutcome outcome{index, OutcomeKind::failed, recipient.last};
    if (outcome.status.reply.to_line().empty()) {
        outcome.status.reply = {0, {4, 4, 7}, "the time for its delivery is over"};
        outcome.status.at = now;
    }
    return outcome;
}

void expire_pending(const Envelope& envelope, Outcomes& outcomes, WallTime now) {
    for (auto& outcome : outcomes) {
        if (outcome.kind == OutcomeKind::deferred) outcome.kind = OutcomeKind::failed;
    }
    for (const auto index : pending_after(envelope, outcomes)) {
        outcomes.push_back(expired(index, envelope.recipients[index], now));
    }
}

// Those that the outcomes changed from pending to `kind`.
std::vector<std::uint32_t> now_of_kind(const Envelope& envelope,
                                       const Outcomes& outcomes,
                                       OutcomeKind kind) {
    std::vector<std::uint32_t> indices;
    for (const auto& outcome : outcomes) {
        const bool was_pending =
            envelope.recipients[outcome.recipient].state == RecipientState::pending;
        if (outcome.kind == kind && was_pending) indices.push_back(outcome.recipient);
    }
    return indices;
}

std::vector<std::uint32_t> only(std::vector<std::uint32_t> indices,
                                const Envelope& envelope,
                                bool (Notify::*wanted)() const) {
    std::erase_if(indices, [&](std::uint32_t index) {
        return !(envelope.recipients[index].wishes.notify.*wanted)();
    });
    return indices;
}

std::vector<std::uint32_t> told_of_failure(const Envelope& envelope, const Outcomes& outcomes) {
    if (envelope.sender.empty()) return {};
    return only(now_of_kind(envelope, outcomes, OutcomeKind::failed), envelope,
                &Notify::wants_failure);
}

enum class Success : std::uint8_t { relayed, delivered };

// RFC 3461 sections 5.2.2 (c) and 5.2.3: the duty ends here, and the sender must hear it. Or it
// asked to hear of relays (RFC 2852 section 4.1.4).
std::vector<std::uint32_t> told_of_success(const Envelope& envelope,
                                           const Outcomes& outcomes,
                                           Success of) {
    if (envelope.sender.empty()) return {};
    auto kept = outcomes;
    std::erase_if(kept, [&](const RecipientOutcome& one) {
        const auto& notify = envelope.recipients[one.recipient].wishes.notify;
        const bool owed = notify.wants_success() && !one.status.notices_passed_on;
        const auto was = one.status.final_delivery ? Success::delivered : Success::relayed;
        return was != of || !(owed || one.status.tell_relay);
    });
    return now_of_kind(envelope, kept, OutcomeKind::delivered);
}

bool is_doubtful(const Envelope& envelope, std::uint32_t index) {
    return std::any_of(envelope.doubts.begin(), envelope.doubts.end(), [index](const Doubt& doubt) {
        const auto& reached = doubt.recipients;
        return std::find(reached.begin(), reached.end(), index) != reached.end();
    });
}

Decision fail(const Envelope& envelope,
              const std::vector<std::uint32_t>& indices,
              const Reply& reason,
              WallTime now) {
    Decision decision;
    for (const auto index : indices) {
        decision.outcomes.push_back({index, OutcomeKind::failed, {reason, {}, {}, now}});
    }
    decision.bounced = told_of_failure(envelope, decision.outcomes);
    return decision;
}

}  // namespace

Decision decide(const Ended& ended, WallTime now, replication::InDoubtPolicy policy) {
    const auto& envelope = ended.envelope;
    const bool told = !envelope.sender.empty();
    Decision decision;
    decision.outcomes = ended.outcomes;
    if (told && policy == replication::InDoubtPolicy::bounce) fail_in_doubt(decision.outcomes);
    decision.relayed = told_of_success(envelope, decision.outcomes, Success::relayed);
    decision.delivered = told_of_success(envelope, decision.outcomes, Success::delivered);
    if (ended.goes_on) return decision;
    if (now >= envelope.expires_at) expire_pending(envelope, decision.outcomes, now);
    decision.bounced = told_of_failure(envelope, decision.outcomes);

    auto pending = pending_after(envelope, decision.outcomes);
    if (pending.empty()) return decision;
    if (in_doubt(ended.outcomes) && policy == replication::InDoubtPolicy::hold) {
        decision.hold_why = "in doubt: the reply to the end of the message was lost";
    }
    if (now >= envelope.warn_at) {
        decision.warned = true;
        if (told) decision.delayed = only(std::move(pending), envelope, &Notify::wants_delay);
    }
    return decision;
}

Decision fail_all(const Envelope& envelope, const Reply& reason, WallTime now) {
    return fail(envelope, pending_after(envelope, {}), reason, now);
}

Decision fail_doubtful(const Envelope& envelope, const Reply& reason, WallTime now) {
    auto indices = pending_after(envelope, {});
    std::erase_if(indices, [&](std::uint32_t index) { return !is_doubtful(envelope, index); });
    return fail(envelope, indices, reason, now);
}

Outcomes postpone_failures(Outcomes outcomes) {
    for (auto& outcome : outcomes) {
        if (outcome.kind == OutcomeKind::failed) outcome.kind = OutcomeKind::deferred;
    }
    return outcomes;
}

bool is_expired(const RecipientOutcome& outcome) {
    const auto& reply = outcome.status.reply;
    return outcome.kind == OutcomeKind::failed && !reply.permanent() && reply.enhanced.klass != 5;
}

}  // namespace posthorse::report
