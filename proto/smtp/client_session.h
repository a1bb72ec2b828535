// The client's half of SMTP conversations over one connection, with no socket in it.
//
// Place     Stage 6: driven by daemon/deliver/connection.h, uses only proto/.
// Contract  As server_session.h: bytes in, effects out. One connection carries many messages, one
//           after another. Every recipient of a job gets exactly one RecipientResult before
//           JobDone. The final dot leaves only after dot(permit): the driver checks the lease there
//           (P3).
// Errors    A server that breaks the protocol ends in results of code 0 and Close. A reply lost
//           after the final dot gives `lost_after_dot`: it may have been delivered (RFC 1047).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proto/types/envelope.h"
#include "proto/types/limits.h"
#include "proto/types/reply.h"

namespace posthorse::smtp {

enum class TlsUse : std::uint8_t { never, when_offered, required };

struct ClientProfile {
    std::string helo;
    TlsUse tls = TlsUse::when_offered;
    bool tls_already = false;  // the driver made the connection with TLS
    Limits limits;
};

// One message for this connection.
struct Job {
    std::string sender;
    std::vector<std::string> recipients;
    std::uint64_t size_bytes = 0;
    BodyKind body = BodyKind::seven_bit;
};

// What the client waits for, so that the driver knows which deadline applies (limits.h, Timeouts).
enum class Step : std::uint8_t { greeting, command, data_start, final_dot, quit };

// --- effects
struct ClientSend {
    std::string bytes;
};
struct ClientStartTls {};  // handshake, then tls_established() or tls_failed()
struct Ready {};           // deliver() or quit() may be called
struct SendBody {};        // write the message, dot-stuffed, ending in CRLF, no final dot;
                           // then body_sent()
struct MayEnd {};          // is the lease good? then dot()
struct RecipientResult {
    std::uint32_t recipient = 0;  // index into Job::recipients
    OutcomeKind kind = OutcomeKind::deferred;
    Reply reply;  // code 0: no reply; text says why
    bool lost_after_dot = false;
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

// What the server's EHLO offered.
struct ServerOffer {
    bool esmtp = false;
    bool starttls = false;
    bool pipelining = false;
    bool eight_bit_mime = false;
    bool enhanced_codes = false;
    bool size = false;
    std::uint64_t size_bytes_max = 0;  // 0: no limit stated
};

enum class ClientEnd : std::uint8_t { peer_closed, timed_out, lease_lost, shutdown };

class ClientSession {
public:
    enum class State : std::uint8_t {
        greeting,
        ehlo,
        helo,
        starttls,
        tls,
        ready,
        envelope,
        data_start,
        body,
        may_end,
        final_dot,
        quit,
        closed,
    };

    explicit ClientSession(ClientProfile profile);

    // The connection stands; waits for the greeting.
    void start(ClientEffects& out);
    // Takes whole reply lines from `input`; returns bytes taken.
    std::size_t feed(std::string_view input, ClientEffects& out);
    void tls_established(ClientEffects& out);
    // `when_offered`: the driver connects again with TlsUse::never; this session ends.
    void tls_failed(std::string why, ClientEffects& out);

    // Requires State::ready.
    void deliver(Job job, ClientEffects& out);
    void body_sent(ClientEffects& out);
    // false: the message must not be ended; the connection is reset and nothing was delivered.
    void dot(bool permit, ClientEffects& out);
    void quit(ClientEffects& out);
    // The peer left, a deadline passed, the lease is lost, the node stops.
    void end(ClientEnd reason, std::string why, ClientEffects& out);

    State state() const noexcept { return state_; }
    Step awaited() const noexcept;
    const ServerOffer& offer() const noexcept { return offer_; }
    // The greeting or EHLO was refused: what the server said (then try the next MX).
    const Reply& refusal() const noexcept { return refusal_; }

private:
    ClientProfile profile_;
    ServerOffer offer_;
    Reply refusal_;
    State state_ = State::greeting;
};

}  // namespace posthorse::smtp
