// What a client says in an AUTH exchange (RFC 4954 section 4), whatever the mechanism means by it.
//
// Contract  Pure: the argument of the AUTH command, or a line that answers a challenge, into octets
//           for the mechanism. A Reply ends the exchange.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proto/types/reply.h"

namespace posthorse::smtp {

struct AuthCommand {
    std::string mechanism;               // as it is offered
    std::optional<std::string> initial;  // octets; "=" is none of them, but a response
};
struct AuthLine {
    std::string octets;
};

std::variant<AuthCommand, Reply> read_auth_command(std::string_view argument,
                                                   const std::vector<std::string>& offered);
std::variant<AuthLine, Reply> read_auth_line(std::string_view line);

}  // namespace posthorse::smtp
