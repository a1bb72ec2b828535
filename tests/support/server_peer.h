// A ServerSession with a fixed policy and a memory: the server that tests and fuzzers talk to in
// their own process.
//
// Contract  Answers every question at once. Checks on the way what the session promises its driver:
//           body bytes only between BodyBegin and an end, no effect after Close.
//           Policy: alice@example.org has the password "secret" and writes as herself; mail for
//           example.org is taken from everybody, other mail from those who logged in;
//           nobody@example.org does not exist, later@example.org is for later, and
//           busy@example.org ends the session by 421.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/smtp/password_exchange.h"
#include "proto/smtp/server_session.h"

namespace posthorse::test {

struct ReceivedMessage {
    std::string sender;
    std::vector<std::string> recipients;
    std::string bytes;
    bool operator==(const ReceivedMessage&) const = default;
};

// The profiles that dialogue files name: "mx", "submission", "submissions" (TLS from the start),
// "trusted" (AUTH in clear allowed). The bounds are small, so that files reach them.
smtp::ServerProfile server_profile(std::string_view name);

class ServerPeer {
public:
    explicit ServerPeer(smtp::ServerProfile profile);

    void receive(std::string_view bytes);
    void finish_tls();
    bool end(smtp::EndReason reason);

    // What the server said since the last call.
    std::string take_output();
    bool tls_wanted() const { return session_.state() == smtp::ServerSession::State::tls; }
    bool closed() const { return closed_; }
    bool in_body() const { return in_body_; }
    const smtp::ServerSession& session() const { return session_; }
    const std::vector<ReceivedMessage>& messages() const { return messages_; }
    std::size_t refused_bodies() const { return refused_bodies_; }
    std::size_t aborted_bodies() const { return aborted_bodies_; }

private:
    bool step();
    void carry_out(smtp::Effects effects);
    void on(smtp::Send& send);
    void on(smtp::StartTls&) {}
    void on(smtp::AuthBegin& begun);
    void on(smtp::AuthResponse& response);
    void on(smtp::AuthAbort&);
    void on_auth(const smtp::PasswordStep& step);
    void on(smtp::CheckMail& asked);
    void on(smtp::CheckRcpt& asked);
    void on(smtp::BodyBegin&);
    void on(smtp::BodyData& data);
    void on(smtp::MessageEnd& end);
    void on(smtp::BodyAbort&);
    void on(smtp::Close&) { closed_ = true; }
    void answer(const Reply& reply);

    smtp::ServerSession session_;
    std::string input_;  // not taken yet
    std::string output_;
    std::string body_;
    std::optional<smtp::PasswordExchange> exchange_;  // of AUTH
    bool in_body_ = false;
    bool closed_ = false;
    std::vector<ReceivedMessage> messages_;
    std::size_t refused_bodies_ = 0;
    std::size_t aborted_bodies_ = 0;
};

}  // namespace posthorse::test
