// ORCPT, the recipient as its sender named it (RFC 3461 section 4.2, RFC 6533 section 3).
//
// Contract  The queue keeps the parameter as it came; this reads it. What passes holds no control
//           character once it is decoded.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace posthorse::smtp {

inline constexpr std::size_t original_recipient_bytes_max = 500;

struct OriginalRecipient {
    std::string type;     // "rfc822", "utf-8"
    std::string address;  // decoded; UTF-8 when the type is utf-8, else ASCII
    bool operator==(const OriginalRecipient&) const = default;
};

// "rfc822;bob+2Bx@example.org". UTF-8 in xtext is read as of the type utf-8. nullopt: malformed.
std::optional<OriginalRecipient> parse_original_recipient(std::string_view parameter);

// The same for a server without SMTPUTF8: characters beyond ASCII as "\x{F6}".
std::string as_ascii_parameter(std::string_view parameter);

}  // namespace posthorse::smtp
