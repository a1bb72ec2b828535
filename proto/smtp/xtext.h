// xtext (RFC 3461 section 4): how a parameter carries octets that a command line cannot.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace posthorse::smtp {

// nullopt: malformed. The result may hold any octet, CR and LF too: never write it out raw.
std::optional<std::string> decode_xtext(std::string_view text);
std::string encode_xtext(std::string_view octets);

}  // namespace posthorse::smtp
