// What the scheduler asks of delivery, what it hears back and what it hands on: the values between
// stages 5, 6 and 7.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/types/envelope.h"

namespace posthorse {

// The recipients of one message that go to one destination: one SMTP transaction.
struct DeliveryJob {
    QueueId id;
    std::uint32_t attempt = 0;  // unique within the message; names the intent
    std::string
        destination;  // "mx:example.org", "smtp:mail.example.org:25", "smtp:[192.0.2.1]:2525"
    std::string sender;
    std::vector<std::uint32_t> recipients;  // indices into Envelope::recipients
    std::vector<std::string> addresses;     // of the same, in the same order
    std::uint64_t size_bytes = 0;
    std::uint32_t chunk_count = 0;
    BodyKind body = BodyKind::seven_bit;
    bool utf8_header = false;
    MailWishes wishes{};
    std::vector<RecipientWishes> recipient_wishes{};  // of the same, in the same order
};

// How good the destination looked, beside what the recipients met.
enum class DestinationHealth : std::uint8_t {
    good,         // a transaction was completed, whatever its replies
    unreachable,  // nobody could be asked: DNS, connect, greeting, TLS; the same awaits other
                  // messages
};

struct JobResult {
    QueueId id;
    std::uint32_t attempt = 0;
    std::string destination;
    std::vector<RecipientOutcome> outcomes;  // one for each recipient of the job
    DestinationHealth health = DestinationHealth::good;
    AttemptEnd end = AttemptEnd::completed;
};

// A claimed message whose jobs have ended: to be settled. Or, while others of its jobs go on, what
// was delivered so far: to be recorded.
struct Ended {
    Envelope envelope;                       // as it was claimed
    std::vector<RecipientOutcome> outcomes;  // of the recipients that were attempted
    std::vector<std::uint32_t> ended_attempts;
    WallTime next_due{};              // for what is pending still
    bool goes_on = false;             // other jobs of it have not ended, and it stays claimed
    std::optional<AttemptEnd> end{};  // of the claim; none: nothing was attempted, or it goes on
};

}  // namespace posthorse
