// The client's half of SMTP or LMTP conversations over one connection, with no socket in it.
//
// Place     Stage 6: driven by daemon/deliver/connection.h, uses only proto/.
// Contract  As server_session.h: bytes in, effects out. One connection carries many messages, one
//           after another. Every recipient of a job gets exactly one RecipientResult before
//           JobDone. The final dot leaves only after dot(permit): the driver checks the lease there
//           (P3).
//           LMTP (RFC 2033) begins with LHLO, and has one reply to the final dot for each recipient
//           that was accepted; each settles its own. When the connection breaks between them, only
//           those without a reply may have got the message.
// Errors    A server that breaks the protocol ends in results of code 0 and Close. A reply lost
//           after the final dot gives `lost_after_dot`: it may have been delivered (RFC 1047).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/smtp/client_effect.h"
#include "proto/smtp/client_transaction.h"
#include "proto/smtp/reply_parser.h"
#include "proto/smtp/server_offer.h"
#include "proto/types/destination.h"
#include "proto/types/limits.h"
#include "proto/types/reply.h"

namespace posthorse::smtp {

enum class TlsUse : std::uint8_t { never, when_offered, required };

struct ClientProfile {
    std::string helo;
    TlsUse tls = TlsUse::when_offered;
    bool tls_already = false;  // the driver made the connection with TLS
    Protocol protocol = Protocol::smtp;
    Limits limits;
};

// Whether the handshake proved that the server is the host that was meant.
enum class TlsPeer : std::uint8_t { unverified, verified };

// What the client waits for, so that the driver knows which deadline applies (limits.h, Timeouts).
enum class Step : std::uint8_t { greeting, command, data_start, final_dot, quit };

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
    // Takes whole reply lines from `input`; returns bytes taken. Keep what was not taken and feed
    // it again with more behind it. While the body is written, replies may be fed too: a server
    // that refuses early is heard.
    std::size_t feed(std::string_view input, ClientEffects& out);
    void tls_established(TlsPeer peer, ClientEffects& out);
    // `when_offered`: the driver connects again with TlsUse::never; this session ends.
    void tls_failed(std::string why, ClientEffects& out);

    // Ready for another message: the server has not stated that it takes no more of them.
    bool may_deliver() const noexcept;
    // Requires may_deliver().
    void deliver(Job job, ClientEffects& out);
    void body_sent(ClientEffects& out);
    // false: the message must not be ended; the connection is reset and nothing was delivered.
    void dot(bool permit, ClientEffects& out);
    // Requires State::ready.
    void quit(ClientEffects& out);
    // The peer left, a deadline passed, the lease is lost, the node stops.
    void end(ClientEnd reason, std::string why, ClientEffects& out);

    State state() const noexcept { return state_; }
    Step awaited() const noexcept;
    const ServerOffer& offer() const noexcept { return offer_; }
    // The greeting or EHLO was refused: what the server said (then try the next MX).
    const Reply& refusal() const noexcept { return refusal_; }

private:
    void on_reply(const Reply& reply, ClientEffects& out);
    void on_greeting(const Reply& reply, ClientEffects& out);
    void on_ehlo(const Reply& reply, ClientEffects& out);
    void on_helo(const Reply& reply, ClientEffects& out);
    void on_starttls(const Reply& reply, ClientEffects& out);
    void on_envelope(const Reply& reply, ClientEffects& out);
    void on_early_reply(const Reply& reply, ClientEffects& out);
    void on_final_reply(const Reply& reply, ClientEffects& out);
    void on_service_closing(const Reply& reply, ClientEffects& out);

    void send_hello(ClientEffects& out);
    void after_hello(ClientEffects& out);
    void become_ready(ClientEffects& out);
    void send_commands(ClientEffects& out);
    void send_mail(ClientEffects& out);
    void end_round(ClientEffects& out);
    void reset(ClientEffects& out);
    void finish_job(ClientEffects& out);

    void refuse(Reply why, ClientEffects& out);
    void broken(std::string why, ClientEffects& out);
    void abandon(const Reply& why, ClientEffects& out);
    void close(ClientEffects& out);

    ClientProfile profile_;
    ServerOffer offer_;
    Reply refusal_;
    State state_ = State::greeting;
    bool tls_ = false;
    TlsPeer peer_ = TlsPeer::unverified;
    std::uint64_t mails_ = 0;  // that were begun
    ReplyParser replies_;
    std::optional<ClientTransaction> transaction_;  // between deliver() and JobDone
    bool resetting_ = false;  // in State::envelope: RSET was sent, all recipients are settled
};

}  // namespace posthorse::smtp
