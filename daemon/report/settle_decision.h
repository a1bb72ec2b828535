// What becomes of a message whose attempts have ended: who is final, who is told.
//
// Place     Stage 7, used by reporter.h.
// Contract  Pure. One bounce names all recipients that failed in this report. A message past its
//           time fails what is pending still; what the last server said stays as the reason. The
//           null sender is never told (RFC 5321 section 6.1): nobody would be. Nor is a sender who
//           did not want to be (NOTIFY, RFC 3461 section 4.1). What is in doubt and nobody would
//           hear of is tried again under every policy.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/types/delivery_job.h"
#include "proto/types/envelope.h"
#include "replication/replicated_queue.h"

namespace posthorse::report {

struct Decision {
    // Those of the attempts, in their order, then those that time alone decided.
    std::vector<RecipientOutcome> outcomes;
    std::vector<std::uint32_t> bounced;  // recipients that a bounce is owed for; indices
    std::vector<std::uint32_t> delayed;  // recipients that a delay warning is owed for; indices
    // Recipients whose sender wants to hear of success, delivered to servers that send no notices,
    // or of every relay; indices.
    std::vector<std::uint32_t> relayed;
    std::vector<std::uint32_t> delivered;  // the same, delivered to their mailboxes
    bool warned = false;                   // the time of the warning has come, told or not
    std::string hold_why;                  // not empty: hold what is pending for an operator
};

// Of a message that goes on only what was delivered is decided.
Decision decide(const Ended& ended, WallTime now, replication::InDoubtPolicy policy);

// All pending recipients fail for `reason`, without an attempt: an operator's bounce.
Decision fail_all(const Envelope& envelope, const Reply& reason, WallTime now);

// Those pending recipients fail for `reason` that an attempt in doubt may have reached.
Decision fail_doubtful(const Envelope& envelope, const Reply& reason, WallTime now);

// The outcomes when the sender cannot be told now: a failure that nobody hears of is a loss, so it
// is no failure yet. What was delivered stays so.
std::vector<RecipientOutcome> postpone_failures(std::vector<RecipientOutcome> outcomes);

// A failure that no server and no operator decided: the time was over.
bool is_expired(const RecipientOutcome& outcome);

}  // namespace posthorse::report
