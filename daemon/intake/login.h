// One client's logging in: what the octets of an AUTH exchange mean, and whether they are right.
//
// Place     Between connection.h, which owns it and speaks SMTP, and daemon/auth.
// Contract  begin() starts an exchange and forgets one before it; respond() goes on with it. Every
//           refusal is the same reply after the same delay: it does not tell an unknown login from
//           a wrong password. Delays for failures before it come before the password is looked at:
//           a right one is no faster.
// Owner     A connection, on its shard; one call at a time.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "daemon/auth/sasl.h"
#include "daemon/intake/intake_context.h"
#include "daemon/intake/pool_limits.h"
#include "proto/smtp/password_exchange.h"
#include "proto/smtp/server_session.h"

namespace posthorse::intake {

struct LoginVerdict {
    std::string login;  // empty: refused
    Reply reply;
};
using LoginStep = std::variant<smtp::Challenge, LoginVerdict>;

class Login {
public:
    // `client` is its address. `limits` outlives it.
    Login(IntakeContext& context, PoolLimits& limits, std::string client);

    // After a handshake: what an exchange can be bound to from here on.
    void bind_to(auth::ChannelBindings bindings) { bindings_ = std::move(bindings); }
    // What to offer now.
    std::vector<std::string> mechanisms() const;

    boost::asio::awaitable<LoginStep> begin(smtp::AuthBegin begun);
    boost::asio::awaitable<LoginStep> respond(std::string octets);
    void abort() { exchange_ = {}; }

private:
    boost::asio::awaitable<void> slow_down(std::string login);
    boost::asio::awaitable<LoginStep> take(smtp::PasswordStep step);
    boost::asio::awaitable<LoginStep> take(auth::ScramStep step);
    boost::asio::awaitable<LoginStep> check(smtp::Credentials credentials);
    boost::asio::awaitable<LoginStep> refuse(std::string login);
    LoginStep accept(const std::string& login);

    IntakeContext& context_;
    PoolLimits& limits_;
    const std::string client_;
    auth::ChannelBindings bindings_;
    std::variant<std::monostate, smtp::PasswordExchange, auth::ScramExchange> exchange_;
};

}  // namespace posthorse::intake
