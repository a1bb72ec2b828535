// What the server's half of a conversation gives out, to be carried out in order: the values
// between ServerSession and its driver.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proto/types/envelope.h"
#include "proto/types/reply.h"

namespace posthorse::smtp {

struct Send {
    std::string bytes;
};
struct StartTls {
};  // flush what was sent, handshake, then tls_established(); input read before is void
// An exchange of AUTH: what the mechanism makes of the octets is the driver's. Answer AuthBegin and
// AuthResponse with auth_challenge() or auth_verdict().
struct AuthBegin {
    std::string mechanism;               // one of the profile's
    std::optional<std::string> initial;  // the client's initial response
};
struct AuthResponse {
    std::string octets;
};  // to the challenge
struct AuthAbort {};  // the exchange will not go on: forget it. No answer.
struct CheckMail {
    std::string sender;
    std::uint64_t declared_bytes;
    MailWishes wishes;
};  // answer with verdict()
struct CheckRcpt {
    std::string recipient;
};  // answer with verdict()
struct BodyBegin {};  // transaction() is complete; get ready for bytes. No answer.
struct BodyData {
    std::string_view bytes;
};  // un-stuffed; a view into feed()'s input
// The message is complete. `fault` says why it must be refused although the client sent it all
// (bare CR or LF, too large, NUL); then the driver drops what it has and the session has already
// queued the refusal: no answer. Without a fault: answer with verdict().
struct MessageEnd {
    std::optional<Reply> fault;
};
struct BodyAbort {};  // the body will not be completed (disconnect, RSET): drop what was taken
struct Close {};      // after what was sent is flushed
using Effect = std::variant<Send,
                            StartTls,
                            AuthBegin,
                            AuthResponse,
                            AuthAbort,
                            CheckMail,
                            CheckRcpt,
                            BodyBegin,
                            BodyData,
                            MessageEnd,
                            BodyAbort,
                            Close>;
using Effects = std::vector<Effect>;

}  // namespace posthorse::smtp
