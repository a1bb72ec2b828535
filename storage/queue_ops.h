// The legal changes of a message after its acceptance, as pure functions on envelopes.
//
// Place     replication/replicated_queue calls them and wraps what they give into operations of
//           storage/queue_store.h. Nobody else changes an envelope.
// Contract  Every change bumps `version`, but for note(), end_attempts() and after_claim(), which
//           are parts of one. A recipient that is final (delivered, failed) stays as it is,
//           whatever is said about it later (P2, P4). A held message is due `never`: only
//           resume() makes it due again. No message is due before its release (RFC 4865).
// Errors    Misuse (a recipient that does not exist, an illegal change) is a bug and aborts.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proto/types/envelope.h"
#include "storage/queue_store.h"

namespace posthorse::storage {

// What one attempt, or several side by side, did. nullopt: no recipient is pending any more, the
// message is done.
std::optional<Envelope> apply_outcomes(Envelope current,
                                       std::span<const RecipientOutcome> outcomes,
                                       WallTime next_due);

// The delay warning has been written: no second one.
Envelope mark_warned(Envelope current);

// No attempt until resume(), which forgets what made it suspicious.
Envelope hold(Envelope current, std::string why);
Envelope resume(Envelope current, WallTime now);

// Due now, unless held.
Envelope retry(Envelope current, WallTime now);

// Back to the queue without an attempt.
Envelope park(Envelope current, WallTime due);

// An attempt whose end nobody knows: counted, in the envelope and for its pending recipients, and
// open until it is told or the doubts are settled. One that is open already is not counted again.
Envelope mark_in_doubt(Envelope current, const Intent& intent, WallTime due);

// The policy has decided what nobody told: no doubt is open any more, and `cut_off` claims ended
// with their node. Due at `due`, unless held.
Envelope settle_doubts(Envelope current, WallTime due, std::uint32_t cut_off);

// What the end of a claim says of the message: one that came to its end clears it.
Envelope after_claim(Envelope current, AttemptEnd end);

// These attempts ended; apply_outcomes() says how. No doubt about them is open any more. When a
// reply was lost, and they were not in doubt already, one more attempt is counted as such.
Envelope end_attempts(Envelope current,
                      std::span<const std::uint32_t> attempts,
                      std::span<const RecipientOutcome> outcomes);

// One more line of the timeline, made safe to print and kept short (history_text_max). The first
// event stays, then the newest (history_events_max).
Envelope note(Envelope current, HistoryEvent event);

// The operation that stores the change from `before` to `after` (nullopt: the message goes), with
// the notices that it causes. Asserts that the change is legal: same id, body and recipients, a
// higher version, nothing final undone, notices in the same partition and whole.
Settle settle(const Envelope& before,
              std::optional<Envelope> after,
              std::vector<NewMessage> notices,
              std::vector<std::uint32_t> ended_attempts);

}  // namespace posthorse::storage
