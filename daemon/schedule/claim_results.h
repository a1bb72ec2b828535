// What the attempts at a claimed message led to, until it is reported.
//
// Place     One in each active message of schedule_core.h.
// Contract  Pure. What was delivered may be recorded before the message ends; its failures wait for
//           the others, so that its sender hears once.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proto/types/delivery_job.h"
#include "proto/types/envelope.h"
#include "proto/types/time.h"

namespace posthorse::schedule {

class ClaimResults {
public:
    void add(JobResult result);
    // Nobody was asked about these recipients.
    void add_unasked(const std::vector<std::uint32_t>& recipients, const DeliveryStatus& status);

    // Nothing that is not recorded.
    bool empty() const { return outcomes_.empty() && delivered_.empty(); }
    // Something was delivered, and is not recorded.
    bool has_delivered() const { return !delivered_.empty(); }
    // Of those that were not delivered.
    const std::vector<RecipientOutcome>& failures() const { return outcomes_; }

    // What was delivered and is not recorded, while the message goes on; `envelope` shows it then.
    Ended record(Envelope& envelope);
    // All that is not recorded, at the end. Leaves nothing.
    Ended report(Envelope envelope, WallTime next_due);

private:
    std::vector<RecipientOutcome> outcomes_;
    std::vector<std::uint32_t> ended_attempts_;
    std::vector<RecipientOutcome> delivered_;  // by `delivered_by_`, and not recorded yet
    std::vector<std::uint32_t> delivered_by_;  // ended attempts
    std::optional<AttemptEnd> end_;            // the worst of its attempts
};

}  // namespace posthorse::schedule
