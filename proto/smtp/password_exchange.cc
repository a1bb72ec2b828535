#include "proto/smtp/password_exchange.h"

#include <utility>

#include "proto/types/assert.h"

namespace posthorse::smtp {
namespace {

// RFC 4616 section 2: [authzid] NUL authcid NUL passwd.
PasswordStep read_plain(std::string_view message) {
    const auto first = message.find('\0');
    if (first == std::string_view::npos) return NoCredentials{};
    const auto second = message.find('\0', first + 1);
    if (second == std::string_view::npos) return NoCredentials{};
    const auto authzid = message.substr(0, first);
    const auto user = message.substr(first + 1, second - first - 1);
    const auto password = message.substr(second + 1);
    const bool whole =
        !user.empty() && !password.empty() && password.find('\0') == std::string_view::npos;
    // Nobody may act as another here.
    const bool himself = authzid.empty() || authzid == user;
    if (!whole || !himself) return NoCredentials{};
    return Credentials{std::string(user), std::string(password)};
}

}  // namespace

bool PasswordExchange::knows(std::string_view mechanism) {
    return mechanism == "PLAIN" || mechanism == "LOGIN";
}

PasswordExchange::PasswordExchange(std::string_view mechanism)
    : wants_(mechanism == "PLAIN" ? Wants::plain_message : Wants::login_user) {
    PH_ASSERT(knows(mechanism));
}

PasswordStep PasswordExchange::begin(std::optional<std::string> initial) {
    if (initial) return respond(std::move(*initial));
    return Challenge{wants_ == Wants::plain_message ? "" : "Username:"};
}

PasswordStep PasswordExchange::respond(std::string octets) {
    switch (wants_) {
        case Wants::plain_message:
            return read_plain(octets);
        case Wants::login_user:
            user_ = std::move(octets);
            wants_ = Wants::login_password;
            return Challenge{"Password:"};
        case Wants::login_password:
            break;
    }
    if (user_.empty() || octets.empty()) return NoCredentials{};
    return Credentials{std::move(user_), std::move(octets)};
}

}  // namespace posthorse::smtp
