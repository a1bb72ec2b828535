// Macros in the domain names of SPF records (RFC 7208 section 7).
//
// Contract  Pure. The letters c, r and t are of explanations alone, which nobody asks for here: in
//           a domain name they are an error.
// Bounds    An expanded name is cut from the left, label by label, to 253 octets.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/verify/ip_address.h"

namespace posthorse::verify {

// What the letters stand for.
struct SpfMacroFacts {
    std::string local_part;  // l, s: of the sender
    std::string sender_domain;
    std::string domain;  // d: whose record is looked at
    std::string helo;
    std::string validated_name;  // p; "unknown": none
    IpAddress client;
};

bool is_macro_string(std::string_view text);
// Of one that is: whether its last octet ends a macro.
bool ends_in_macro(std::string_view text);
// Of one that is: whether the letter p stands in it, whose value must be looked up.
bool names_validated_host(std::string_view text);

// `text` is a macro string. nullopt: a part that no domain name can hold, such as a local part
// beyond ASCII: then its term matches nothing (RFC 8616 section 4).
std::optional<std::string> expand_domain(std::string_view text, const SpfMacroFacts& facts);

}  // namespace posthorse::verify
