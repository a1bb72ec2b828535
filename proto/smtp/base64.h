// Base64 (RFC 4648 section 4) as SASL writes it: strict, padded, on one line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace posthorse::smtp {

// nullopt: a foreign character, wrong padding, or padding bits that are not zero.
std::optional<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view octets);

}  // namespace posthorse::smtp
