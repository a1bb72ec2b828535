// The client's side of an AUTH exchange read: PLAIN (RFC 4616) and LOGIN (as deployed), without
// knowing anybody's password.
//
// Contract  begin() once, then line() for each line that answers a challenge, until the step is not
//           a Challenge any more. RFC 4954 section 4.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "proto/types/reply.h"

namespace posthorse::smtp {

struct Credentials {
    std::string mechanism;  // "PLAIN" or "LOGIN"
    std::string authzid;    // who the client wants to act as; empty: the user
    std::string user;
    std::string password;
};
struct Challenge {
    std::string text;  // for "334 ", base64 already
};
using AuthStep = std::variant<Challenge, Credentials, Reply>;  // a Reply refuses

class AuthExchange {
public:
    // `argument` of the AUTH command: a mechanism and perhaps an initial response.
    AuthStep begin(std::string_view argument);
    AuthStep line(std::string_view line);

private:
    enum class Wants : std::uint8_t { nothing, plain_message, login_user, login_password };

    AuthStep take(const std::string& octets);
    AuthStep plain(std::string_view message);

    Wants wants_ = Wants::nothing;
    std::string user_;
};

}  // namespace posthorse::smtp
