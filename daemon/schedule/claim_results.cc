#include "daemon/schedule/claim_results.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace posthorse::schedule {

void ClaimResults::add(JobResult result) {
    const auto before = delivered_.size();
    const bool lost = in_doubt(result.outcomes);
    for (auto& outcome : result.outcomes) {
        const bool delivered = outcome.kind == OutcomeKind::delivered;
        (delivered ? delivered_ : outcomes_).push_back(std::move(outcome));
    }
    const bool some = delivered_.size() > before && !lost;
    (some ? delivered_by_ : ended_attempts_).push_back(result.attempt);
    end_ = std::max(end_.value_or(AttemptEnd::completed), result.end);
}

void ClaimResults::add_unasked(const std::vector<std::uint32_t>& recipients,
                               const DeliveryStatus& status) {
    for (const auto recipient : recipients) {
        RecipientOutcome outcome;
        outcome.recipient = recipient;
        outcome.status = status;
        outcomes_.push_back(std::move(outcome));
    }
}

Ended ClaimResults::record(Envelope& envelope) {
    Ended so_far{.envelope = envelope,
                 .outcomes = std::exchange(delivered_, {}),
                 .ended_attempts = std::exchange(delivered_by_, {}),
                 .next_due = envelope.due_at,
                 .goes_on = true};
    for (const auto& outcome : so_far.outcomes) {
        auto& recipient = envelope.recipients[outcome.recipient];
        recipient.state = RecipientState::delivered;
        recipient.last = outcome.status;
    }
    return so_far;
}

Ended ClaimResults::report(Envelope envelope, WallTime next_due) {
    std::ranges::move(std::exchange(delivered_, {}), std::back_inserter(outcomes_));
    std::ranges::move(std::exchange(delivered_by_, {}), std::back_inserter(ended_attempts_));
    return {.envelope = std::move(envelope),
            .outcomes = std::exchange(outcomes_, {}),
            .ended_attempts = std::exchange(ended_attempts_, {}),
            .next_due = next_due,
            .end = end_};
}

}  // namespace posthorse::schedule
