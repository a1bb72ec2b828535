// When a message is looked at again: after an attempt, or without one.
//
// Place     Under schedule_core.h.
// Contract  Pure. A time at which its sender must hear of a message (it expires, it is late, the
//           sender named it) is not slept through.
#pragma once

#include <cstdint>
#include <span>

#include "daemon/schedule/backoff.h"
#include "proto/types/envelope.h"
#include "proto/types/time.h"

namespace posthorse::schedule {

// In the past: the message goes back as it was.
inline constexpr WallTime at_once{};

// When its sender hears of it, whatever attempts there were, because it named that time (RFC 2852).
WallTime told_at(const Envelope& envelope);
// Its sender must hear now: of the delay or the end.
bool overdue(const Envelope& envelope, WallTime now);

// Of what was put off until `put_off`.
WallTime due_when_parked(const Envelope& envelope, WallTime put_off, WallTime now);
// Of what was reported without an attempt: not sooner after the last one because a notice came
// between.
WallTime due_after_notice(const Envelope& envelope, Duration retry_min, WallTime now);

// Failed attempts in all, these included, of the recipient with the most; 0: none of these failed.
std::uint32_t failures_of(const Envelope& envelope, std::span<const RecipientOutcome> outcomes);
// Of what failed, when `delay` is retry_delay() of its failures.
WallTime due_after_failure(const Envelope& envelope,
                           const RetryBounds& retry,
                           Duration delay,
                           WallTime now);

}  // namespace posthorse::schedule
