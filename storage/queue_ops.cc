#include "storage/queue_ops.h"

#include <algorithm>
#include <utility>

#include "proto/types/assert.h"

namespace posthorse::storage {
namespace {

RecipientState state_after(OutcomeKind kind) {
    switch (kind) {
        case OutcomeKind::delivered:
            return RecipientState::delivered;
        case OutcomeKind::failed:
            return RecipientState::failed;
        case OutcomeKind::deferred:
            return RecipientState::pending;
    }
    PH_ASSERT(false);
}

void apply_outcome(Recipient& recipient, const RecipientOutcome& outcome) {
    if (recipient.state != RecipientState::pending) return;
    recipient.state = state_after(outcome.kind);
    recipient.attempts += 1;
    recipient.last = outcome.status;
}

bool any_pending(const Envelope& envelope) {
    return std::ranges::any_of(envelope.recipients, [](const Recipient& recipient) {
        return recipient.state == RecipientState::pending;
    });
}

bool is_in_doubt(const Envelope& envelope, std::uint32_t attempt) {
    return std::ranges::any_of(envelope.doubts,
                               [&](const Doubt& doubt) { return doubt.attempt == attempt; });
}

Envelope changed(Envelope envelope, WallTime due) {
    envelope.version += 1;
    envelope.due_at = envelope.held ? never : std::max(due, envelope.release_at);
    return envelope;
}

bool legal_recipient(const Recipient& before, const Recipient& after) {
    if (before.address != after.address || after.attempts < before.attempts) return false;
    return before.state == RecipientState::pending || before == after;
}

bool legal_change(const Envelope& before, const Envelope& after) {
    return before.id == after.id && after.version > before.version &&
           before.sender == after.sender && before.chunk_count == after.chunk_count &&
           before.accepted_at == after.accepted_at && before.release_at == after.release_at &&
           after.in_doubt >= before.in_doubt &&
           std::ranges::equal(before.recipients, after.recipients, legal_recipient);
}

bool legal_notice(const Envelope& cause, const NewMessage& notice) {
    return notice.envelope.id != cause.id &&
           notice.envelope.id.partition() == cause.id.partition() &&
           notice.envelope.chunk_count == 0 && notice.head != nullptr;
}

}  // namespace

std::optional<Envelope> apply_outcomes(Envelope current,
                                       std::span<const RecipientOutcome> outcomes,
                                       WallTime next_due) {
    for (const RecipientOutcome& outcome : outcomes) {
        PH_ASSERT(outcome.recipient < current.recipients.size());
        apply_outcome(current.recipients[outcome.recipient], outcome);
    }
    if (!any_pending(current)) return std::nullopt;
    return changed(std::move(current), next_due);
}

Envelope mark_warned(Envelope current) {
    current.warn_at = never;
    const WallTime due = current.due_at;
    return changed(std::move(current), due);
}

Envelope hold(Envelope current, std::string why) {
    current.held = true;
    current.held_why = std::move(why);
    return changed(std::move(current), never);
}

Envelope resume(Envelope current, WallTime now) {
    current.held = false;
    current.held_why.clear();
    current.cut_off = 0;
    return changed(std::move(current), now);
}

Envelope retry(Envelope current, WallTime now) {
    return changed(std::move(current), now);
}

Envelope park(Envelope current, WallTime due) {
    return changed(std::move(current), due);
}

Envelope mark_in_doubt(Envelope current, const Intent& intent, WallTime due) {
    PH_ASSERT(intent.id == current.id);
    if (is_in_doubt(current, intent.attempt)) return changed(std::move(current), due);
    const DeliveryStatus unknown{
        .reply = {.code = 0, .enhanced = {}, .text = "the end of this attempt is not known"},
        .remote = intent.remote,
        .tls = {},
        .at = intent.started,
    };
    for (const std::uint32_t index : intent.recipients) {
        PH_ASSERT(index < current.recipients.size());
        apply_outcome(current.recipients[index],
                      {.recipient = index, .kind = OutcomeKind::deferred, .status = unknown});
    }
    current.in_doubt += 1;
    current.doubts.push_back({.attempt = intent.attempt,
                              .recipients = intent.recipients,
                              .remote = intent.remote,
                              .started = intent.started,
                              .by = intent.by});
    return changed(std::move(current), due);
}

Envelope settle_doubts(Envelope current, WallTime due, std::uint32_t cut_off) {
    current.doubts.clear();
    current.cut_off += cut_off;
    return changed(std::move(current), due);
}

Envelope after_claim(Envelope current, AttemptEnd end) {
    if (end == AttemptEnd::completed) current.cut_off = 0;
    if (end == AttemptEnd::cut_off) current.cut_off += 1;
    return current;
}

Envelope end_attempts(Envelope current,
                      std::span<const std::uint32_t> attempts,
                      std::span<const RecipientOutcome> outcomes) {
    const auto counted = std::erase_if(current.doubts, [&](const Doubt& doubt) {
        return std::ranges::find(attempts, doubt.attempt) != attempts.end();
    });
    if (counted == 0 && in_doubt(outcomes)) current.in_doubt += 1;
    return current;
}

Envelope note(Envelope current, HistoryEvent event) {
    std::vector<HistoryEvent>& history = current.history;
    event.what = sanitise(event.what, history_text_max);
    if (history.size() >= history_events_max) {
        const auto surplus = history.size() - history_events_max + 1;
        history.erase(history.begin() + 1,
                      history.begin() + 1 + static_cast<std::ptrdiff_t>(surplus));
    }
    history.push_back(std::move(event));
    return current;
}

Settle settle(const Envelope& before,
              std::optional<Envelope> after,
              std::vector<NewMessage> notices,
              std::vector<std::uint32_t> ended_attempts) {
    PH_ASSERT(!after || legal_change(before, *after));
    for (const NewMessage& notice : notices) PH_ASSERT(legal_notice(before, notice));
    return {
        .id = before.id,
        .due_before = before.due_at,
        .chunk_count = before.chunk_count,
        .size_bytes = before.size_bytes,
        .after = std::move(after),
        .notices = std::move(notices),
        .ended_attempts = std::move(ended_attempts),
    };
}

}  // namespace posthorse::storage
