#include "daemon/schedule/due_times.h"

#include <algorithm>

namespace posthorse::schedule {
namespace {

// A time that must not be slept through, unless it has passed.
WallTime no_later_than(WallTime due, WallTime limit, WallTime now) {
    return limit > now ? std::min(due, limit) : due;
}

}  // namespace

WallTime told_at(const Envelope& envelope) {
    switch (envelope.wishes.deliver_by.otherwise) {
        case DeliverBy::Otherwise::give_back:
            return envelope.wishes.deliver_by.at;
        case DeliverBy::Otherwise::notify:
            return envelope.warn_at;
        case DeliverBy::Otherwise::unsaid:
            break;
    }
    return never;
}

bool overdue(const Envelope& envelope, WallTime now) {
    return now >= envelope.expires_at || now >= envelope.warn_at;
}

WallTime due_when_parked(const Envelope& envelope, WallTime put_off, WallTime now) {
    const auto due = no_later_than(put_off, envelope.expires_at, now);
    return no_later_than(due, envelope.warn_at, now);
}

WallTime due_after_notice(const Envelope& envelope, Duration retry_min, WallTime now) {
    WallTime earliest = now;
    for (const auto& recipient : envelope.recipients) {
        if (recipient.state == RecipientState::pending)
            earliest = std::max(earliest, recipient.last.at + retry_min);
    }
    return std::min(earliest, now + retry_min);
}

std::uint32_t failures_of(const Envelope& envelope, std::span<const RecipientOutcome> outcomes) {
    std::uint32_t failures = 0;
    for (const auto& outcome : outcomes) {
        if (outcome.kind != OutcomeKind::deferred) continue;
        failures = std::max(failures, envelope.recipients[outcome.recipient].attempts + 1);
    }
    return failures;
}

WallTime due_after_failure(const Envelope& envelope,
                           const RetryBounds& retry,
                           Duration delay,
                           WallTime now) {
    const auto attempt =
        std::max(now + retry.retry_min, no_later_than(now + delay, envelope.expires_at, now));
    return no_later_than(attempt, told_at(envelope), now);
}

}  // namespace posthorse::schedule
