// Which messages an operator means, as a value and a pure question.
//
// Place     Made by admin_requests.h from a request, asked by parts/own_part.h for each envelope.
// Contract  Everything that is set must match; an empty filter matches all. Letter case does not
//           matter, in local parts neither: operators type what they remember.
// Bounds    A few passes over an envelope's recipients.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proto/types/envelope.h"

namespace posthorse::admin {

// What an operator sees of a message. Of several that apply the first in the order held, active,
// in_doubt, deferred.
enum class MessageState : std::uint8_t { deferred, active, held, in_doubt };

// `delivering`: the message is handed out for delivery at the moment.
MessageState state_of(const Envelope& envelope, bool delivering);

// One address, every address of a domain, or the null sender.
class AddressPattern {
public:
    // "user@example.org", "*@example.org" or "<>". nullopt: empty, or a '*' elsewhere.
    static std::optional<AddressPattern> parse(std::string_view text);

    bool matches(std::string_view address) const;

private:
    AddressPattern(bool any_local, std::string wanted)
        : any_local_(any_local), wanted_(std::move(wanted)) {}

    bool any_local_;
    std::string wanted_;  // lower case; the domain alone when any_local_
};

struct QueueFilter {
    std::optional<AddressPattern> sender;
    std::optional<AddressPattern> recipient;  // any recipient, whatever its state
    std::string domain;                       // of a pending recipient; lower case; empty: any
    std::optional<MessageState> state;        // in_doubt also matches held and active ones
    std::optional<Duration> older_than;       // than this since it was accepted
    std::optional<Duration> newer_than;
    std::string id_prefix;   // as QueueId prints it
    bool in_doubt = false;   // true: with an attempt in doubt, whatever its state
    std::string message_id;  // of the header field; lower case, without angle brackets
    std::string reply;       // occurs in the last reply to a recipient; lower case
    std::string text;        // occurs in sender, recipient, message-id or last reply; lower case

    bool empty() const;
    bool matches(const Envelope& envelope, bool delivering, WallTime now) const;

private:
    bool texts_match(const Envelope& envelope) const;
};

}  // namespace posthorse::admin
