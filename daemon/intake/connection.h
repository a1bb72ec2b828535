// One client's connection: the socket around smtp::ServerSession.
//
// Place     Stage 1's edge. listener.h makes one for each socket it accepts; it carries out the
//           session's effects, asks admission.h, login.h and pool_limits.h, and feeds acceptance.h.
// Contract  run() returns when the conversation is over and the socket is closed. Bytes are read
//           only when the session wants them: that is the back-pressure.
//           A client that sends too slowly is cut off: each command has its time, a body must come
//           at `body_bytes_per_second_min` on average; less in a crowd (crowd.h).
//           A client that does not wait where it must (ServerSession::client_must_wait) is cut off.
// Owner     One shard; run() is one task of the listener's group.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <boost/beast/core/flat_buffer.hpp>

#include "daemon/intake/acceptance.h"
#include "daemon/intake/admission.h"
#include "daemon/intake/crowd.h"
#include "daemon/intake/intake_context.h"
#include "daemon/intake/login.h"
#include "daemon/intake/pool_limits.h"
#include "daemon/runtime/stream.h"
#include "proto/smtp/server_session.h"

namespace posthorse::intake {

class Connection {
public:
    static constexpr std::uint64_t body_bytes_per_second_min = 1024;

    // `client`: whom the stream comes from, which is its peer or who stands behind that.
    Connection(IntakeContext& context,
               Crowds crowds,
               const config::Listener& listener,
               runtime::Stream& stream,
               const asio::ip::address& client);

    asio::awaitable<void> run();
    // The node stops: ends between two commands, after the transaction that is under way.
    void stop();
    // A crowd began: what is waited for has less time from now on.
    void hurry();

private:
    asio::awaitable<bool> implicit_tls();
    asio::awaitable<bool> is_quiet();
    asio::awaitable<void> converse();
    asio::awaitable<bool> read_more();
    void cut_off_out_of_turn();
    asio::awaitable<void> carry_out();
    asio::awaitable<void> carry_out_one(smtp::Effect effect);
    bool take_body(std::string_view bytes);
    asio::awaitable<void> log_in(asio::awaitable<LoginStep> step);
    void offer_logins();
    asio::awaitable<void> delay_greeting();
    asio::awaitable<void> check_mail(smtp::CheckMail mail);
    void check_recipient(const std::string& recipient);
    asio::awaitable<void> end_message(std::optional<Reply> fault);
    asio::awaitable<void> start_tls();
    asio::awaitable<runtime::IoResult<runtime::TlsInfo>> handshake();
    asio::awaitable<void> flush();
    void answer(const Reply& reply);
    std::string_view unread() const;
    Duration patience() const;
    Client client() const;
    Origin origin() const;
    bool wants_stop() const { return stopping_ && !session_.in_transaction(); }

    IntakeContext& context_;
    const Crowds crowds_;
    const config::Listener& listener_;
    runtime::Stream& stream_;
    std::string peer_;  // the client's address, for people
    bool trusted_ = false;
    PoolLimits limits_;
    smtp::ServerSession session_;
    Login login_;
    smtp::Effects effects_;
    std::unique_ptr<Acceptance> acceptance_;  // between BodyBegin and MessageEnd
    std::size_t body_read_bytes_ = 0;         // at once
    boost::beast::flat_buffer input_;         // read and not yet taken by the session
    std::string output_;                      // said and not yet sent
    WallTime mail_at_{};                      // when MAIL was said
    BootTime began_;
    BootTime step_began_;  // of the command or body that is awaited
    std::uint64_t body_bytes_ = 0;
    bool closing_ = false;
    bool stopping_ = false;
    bool listening_ = false;  // to what the client says next, or to its part of a handshake
};

}  // namespace posthorse::intake
