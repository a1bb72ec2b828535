// What the client's half of a conversation takes in and gives out: the values between
// ClientSession and its driver.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "proto/types/envelope.h"
#include "proto/types/reply.h"

namespace posthorse::smtp {

// One message for a connection.
struct Job {
    std::string sender;
    std::vector<std::string> recipients;
    std::uint64_t size_bytes = 0;
    BodyKind body = BodyKind::seven_bit;
    bool utf8_header = false;
    MailWishes wishes{};                              // deliver_by.left: from now on
    std::vector<RecipientWishes> recipient_wishes{};  // none, or one for each recipient
};

// --- effects, to be carried out in order
struct ClientSend {
    std::string bytes;
};
struct ClientStartTls {
};  // handshake, then tls_established() or tls_failed(); input read before is void
// The handshakes are over: deliver() or quit() may be called. Once a connection; later
// JobDone{true} says the same. Look at state() first: a server that spoke again in the same breath
// has closed the session, and ClientClose follows.
struct Ready {};
// Write the message, from its first octet, through a DotStuffer, stuff() and finish(), without the
// final dot; then body_sent(). A server that takes few recipients at once (RFC 9422) is sent it
// several times.
struct SendBody {};
struct MayEnd {};  // is the lease good? then dot()
struct RecipientResult {
    std::uint32_t recipient = 0;  // index into Job::recipients
    OutcomeKind kind = OutcomeKind::deferred;
    Reply reply;  // code 0: no reply; text says why
    bool lost_after_dot = false;
    bool notices_passed_on = false;  // as DeliveryStatus::notices_passed_on
    bool final_delivery = false;     // as DeliveryStatus::final_delivery
    bool tell_relay = false;         // as DeliveryStatus::tell_relay
};
struct JobDone {
    bool connection_usable = false;
};
struct ClientClose {};
using ClientEffect = std::variant<ClientSend,
                                  ClientStartTls,
                                  Ready,
                                  SendBody,
                                  MayEnd,
                                  RecipientResult,
                                  JobDone,
                                  ClientClose>;
using ClientEffects = std::vector<ClientEffect>;

}  // namespace posthorse::smtp
