// The values that cross stages: what a message is, apart from its bytes.
//
// Place     Made by intake, kept by storage, claimed by the scheduler, changed by storage/queue_ops
//           only. docs/life-of-a-message.md.
// Contract  Plain values; no invariant that a default-constructed one breaks.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "proto/types/chunk.h"
#include "proto/types/ids.h"
#include "proto/types/reply.h"
#include "proto/types/time.h"

namespace posthorse {

// What the last attempt at one recipient met. `reply.code` is 0 when no server answered.
struct DeliveryStatus {
    Reply reply;
    std::string remote;  // "mx1.example.net[192.0.2.1]:25", or empty: nobody was asked
    std::string tls;     // "TLSv1.3 TLS_AES_256_GCM_SHA384", or empty: in clear
    WallTime at{};
    bool notices_passed_on = false;  // the server took over what RFC 3461 asks for
    bool final_delivery = false;     // it lies in its mailbox: the server spoke LMTP
    bool tell_relay = false;         // RFC 2852 wants its sender to hear of this relay
    bool reply_lost = false;         // the dot was sent: it may have been delivered (RFC 1047)
    bool operator==(const DeliveryStatus&) const = default;
};

enum class RecipientState : std::uint8_t {
    pending,    // still to be delivered
    delivered,  // a server took responsibility (2yz to the final dot)
    failed,     // refused for good or expired: the sender has been told, or needs not be
};

// NOTIFY= of RCPT TO (RFC 3461 section 4.1): what the sender wants to hear of a recipient.
struct Notify {
    bool said = false;  // NOTIFY= was given; with nothing below it is NEVER
    bool success = false;
    bool failure = false;
    bool delay = false;

    // Who says nothing hears of failures and of delays.
    bool wants_failure() const { return failure || !said; }
    bool wants_delay() const { return delay || !said; }
    bool wants_success() const { return success; }
    bool wants_nothing() const { return said && !success && !failure && !delay; }
    bool operator==(const Notify&) const = default;
};

// What RCPT TO asks of every server on the way.
struct RecipientWishes {
    Notify notify{};
    // ORCPT= (RFC 3461 section 4.2), encoded as it came: "rfc822;bob+2Bx@example.org". Empty: none.
    std::string original{};
    bool operator==(const RecipientWishes&) const = default;
};

struct Recipient {
    std::string address;  // as in RCPT TO, without the angle brackets
    RecipientState state = RecipientState::pending;
    std::uint32_t attempts = 0;
    DeliveryStatus last;
    RecipientWishes wishes{};
    bool operator==(const Recipient&) const = default;
};

// RFC 6152: whether the message holds octets above 127, whatever MAIL FROM's BODY= said of it.
enum class BodyKind : std::uint8_t { seven_bit, eight_bit };

// RET= of MAIL FROM (RFC 3461 section 4.3): what of the message a notice of failure returns.
enum class ReturnContent : std::uint8_t { unsaid, headers, full };

// HOLDFOR= or HOLDUNTIL= of MAIL FROM (RFC 4865): when the message may leave the server that it is
// submitted to. At most one of both is there.
struct FutureRelease {
    std::chrono::seconds after{};  // its acceptance
    WallTime at{};

    bool asked() const { return after.count() != 0 || at != WallTime{}; }
    bool operator==(const FutureRelease&) const = default;
};

// BY= of MAIL FROM (RFC 2852): until when the message is to be delivered.
struct DeliverBy {
    enum class Otherwise : std::uint8_t {
        unsaid,     // there is no such time
        notify,     // N: its sender is told, and it is tried on
        give_back,  // R: it fails
    };
    Otherwise otherwise = Otherwise::unsaid;
    bool trace = false;           // T: its sender hears of each relay
    std::chrono::seconds left{};  // when MAIL was said; 0 or less: it was over then
    WallTime at{};                // the same as a time

    bool asked() const { return otherwise != Otherwise::unsaid; }
    bool operator==(const DeliverBy&) const = default;
};

// What MAIL FROM, or the header, asks of every server on the way; `release` of this one alone.
struct MailWishes {
    bool utf8 = false;          // SMTPUTF8 (RFC 6531)
    bool require_tls = false;   // REQUIRETLS (RFC 8689)
    bool tls_optional = false;  // "TLS-Required: No" (RFC 8689 section 3)
    ReturnContent ret = ReturnContent::unsaid;
    std::string envelope_id{};  // ENVID= (RFC 3461 section 4.4), in xtext as it came; empty: none
    FutureRelease release{};
    DeliverBy deliver_by{};
    int priority = 0;  // MT-PRIORITY (RFC 6710), -9 to 9; the higher goes first
    bool operator==(const MailWishes&) const = default;
};

// Who brought the message. For Received, logs and policy; never for routing.
struct Origin {
    std::string listener;        // name of the listener; "bounce" for our own notices
    std::string client_address;  // "192.0.2.7" or "2001:db8::7"
    std::string helo;
    std::string login;     // empty: not authenticated
    std::string protocol;  // RFC 3848: "ESMTPSA"
    std::string tls;       // as DeliveryStatus::tls
    bool operator==(const Origin&) const = default;
};

// An attempt whose end nobody knows (P4), and that may still be told by the node that made it.
struct Doubt {
    std::uint32_t attempt = 0;
    std::vector<std::uint32_t> recipients;  // indices
    std::string remote;
    WallTime started{};
    NodeId by;
    bool operator==(const Doubt&) const = default;
};

// One line of a message's timeline, for people.
struct HistoryEvent {
    WallTime at{};
    NodeId node;       // where it happened
    std::string what;  // printable; at most history_text_max octets
    bool operator==(const HistoryEvent&) const = default;
};
inline constexpr std::size_t history_events_max = 32;  // the first stays, then the newest
inline constexpr std::size_t history_text_max = 200;

// A message without its bytes, and where each recipient stands. Every change bumps `version`.
struct Envelope {
    QueueId id;
    std::uint64_t version = 0;
    std::string sender;  // MAIL FROM without angle brackets; empty is <>
    std::vector<Recipient> recipients;
    BodyKind body = BodyKind::seven_bit;
    bool utf8_header = false;  // the header section holds octets above 127
    MailWishes wishes{};
    Origin origin;
    WallTime accepted_at{};
    WallTime expires_at{};  // accepted_at, or release_at, + queue_lifetime
    WallTime warn_at{};     // the same + delay_warning; never: warned already or not wanted
    WallTime due_at{};      // next attempt; `never` while held; not before `release_at`
    WallTime release_at{};  // no attempt before it (RFC 4865), whatever happens; 1970: at once
    bool held = false;      // by an operator or a guard; `held_why` says
    std::string held_why;
    std::uint32_t in_doubt = 0;  // attempts whose end nobody knew: node or reply was lost (P4)
    std::vector<Doubt> doubts;   // those of them that are not decided yet
    // Claims, one after another, whose attempts took their node with them or did not end by
    // themselves: the guard against poison counts them.
    std::uint32_t cut_off = 0;
    std::uint64_t size_bytes = 0;   // head and chunks together, as sent
    std::uint32_t chunk_count = 0;  // chunks 1..chunk_count follow the head (chunk 0)
    std::string message_id;         // of the header field, for logs; may be empty
    std::vector<HistoryEvent> history;

    bool operator==(const Envelope&) const = default;
};

// Later than every due time.
inline constexpr WallTime never{std::chrono::milliseconds{INT64_C(0x0000'FFFF'FFFF'FFFF)}};

// Numbers an attempt for ever: each claim that leads to attempts is settled, and each settlement
// raises the version. `index` tells attempts of one claim apart.
inline constexpr std::uint32_t attempt_index_max = 0xFFFF;
inline std::uint32_t attempt_number(const Envelope& envelope, std::uint32_t index) {
    return (static_cast<std::uint32_t>(envelope.version) << 16) | (index & attempt_index_max);
}

inline std::uint32_t claim_of(std::uint32_t attempt) {
    return attempt >> 16;
}

// How the attempts of a claim ended, as the guard against poison sees it. The worst of them counts.
enum class AttemptEnd : std::uint8_t {
    completed,   // the conversation about the message came to its end, whatever that was
    unfinished,  // nobody was asked, or this node broke it off
    cut_off,     // it outlasted timeouts.attempt, or an exception ended it
};

// A small message that is whole in memory: our own notices.
struct NewMessage {
    Envelope envelope;  // chunk_count is 0
    Chunk head;         // the whole message, CRLF lines
};

// Recorded before the final dot of an attempt may be sent. An intent without an outcome, found
// after a crash or takeover, is an attempt *in doubt* (P4).
struct Intent {
    QueueId id;
    std::uint32_t attempt = 0;              // unique within the message
    std::vector<std::uint32_t> recipients;  // indices into Envelope::recipients
    std::string remote;
    WallTime started{};
    NodeId by;  // who makes the attempt
    bool operator==(const Intent&) const = default;
};

enum class OutcomeKind : std::uint8_t { delivered, deferred, failed };

// What one attempt did to one recipient.
struct RecipientOutcome {
    std::uint32_t recipient = 0;  // index into Envelope::recipients
    OutcomeKind kind = OutcomeKind::deferred;
    DeliveryStatus status;
    bool operator==(const RecipientOutcome&) const = default;
};

// Of an attempt: a recipient may have the message, and nobody knows.
inline bool in_doubt(std::span<const RecipientOutcome> outcomes) {
    return std::ranges::any_of(
        outcomes, [](const RecipientOutcome& outcome) { return outcome.status.reply_lost; });
}

}  // namespace posthorse
