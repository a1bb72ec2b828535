// The mechanisms that hand over the password: PLAIN (RFC 4616) and LOGIN (as deployed), read
// without knowing anybody's password.
//
// Place     Under daemon/auth/sasl_exchange.h, and in the test server.
// Contract  begin() once, then respond() for each answer to a challenge, until the step is not a
//           challenge any more. The password is as the client sent it: not prepared (RFC 4013), for
//           hashes are of what was typed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace posthorse::smtp {

struct Credentials {
    std::string user;
    std::string password;
};
struct Challenge {
    std::string octets;
};
// What can be nobody's credentials: answered like a wrong password, so that nobody learns from the
// difference. Wanting to act as another user is among it.
struct NoCredentials {};
using PasswordStep = std::variant<Challenge, Credentials, NoCredentials>;

class PasswordExchange {
public:
    static bool knows(std::string_view mechanism);

    // Requires knows(mechanism).
    explicit PasswordExchange(std::string_view mechanism);

    PasswordStep begin(std::optional<std::string> initial);
    PasswordStep respond(std::string octets);

private:
    enum class Wants : std::uint8_t { plain_message, login_user, login_password };

    Wants wants_;
    std::string user_;
};

}  // namespace posthorse::smtp
