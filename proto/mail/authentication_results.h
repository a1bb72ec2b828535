// Authentication-Results (RFC 8601): the field by which a server says what it found out about the
// origin of a message, and to whom it may be believed: to readers who know its authserv-id.
//
// Place     Written by daemon/verify; intake takes out those that claim to be ours and are not.
// Contract  Pure. What is written is one field, folded; no octet of a stranger ends it, opens a
//           comment or begins another result. Non-ASCII letters stand in it only when a value has
//           them, as a message with SMTPUTF8 may (RFC 8616 section 5).
//           What is read is judged strictly: a field whose authserv-id cannot be read is taken out
//           too, for a reader that is more lenient than this one could take it for ours (RFC 8601
//           section 5 lets a border server take out all).
// Bounds    A property longer than property_bytes_max is left out.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/mail/header.h"

namespace posthorse::mail {

inline constexpr std::string_view authentication_results_name = "Authentication-Results";
inline constexpr std::size_t property_bytes_max = 700;

// "header.d=example.org"
struct AuthenticationProperty {
    std::string type;  // "smtp", "header", "policy"
    std::string name;
    std::string value;
};

// "spf=pass smtp.mailfrom=ann@example.org"
struct AuthenticationResult {
    std::string method;
    std::string result;
    std::string reason;  // for people; empty: none
    std::vector<AuthenticationProperty> properties;
};

// The whole field with its CR LF. Without results it says "none".
std::string authentication_results_field(std::string_view authserv_id,
                                         const std::vector<AuthenticationResult>& results);

// The authserv-id in a field's value, without quotes and comments. nullopt: none can be read.
std::optional<std::string> authserv_id(std::string_view value);

struct ForgedFieldsRemoved {
    std::string section;
    std::size_t count = 0;
};
// The section without the fields whose authserv-id `is_ours` or cannot be read; all else stays byte
// for byte.
ForgedFieldsRemoved without_forged_results(
    const Header& header, const std::function<bool(std::string_view authserv_id)>& is_ours);

}  // namespace posthorse::mail
