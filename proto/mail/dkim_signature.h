// The tags of a DKIM-Signature field (RFC 6376 sections 3.2 and 3.5), read before a library sees
// them.
//
// Place     Under daemon/sign/dkim_check.h.
// Contract  Pure. Strict: what is malformed, or larger than the bounds, is no signature that could
//           be verified. What passes here is well formed as a list; whether the values mean
//           something is the library's to say.
// Bounds    dkim_field_bytes_max; dkim_signed_names_max names in h=: the work of a verifier is
//           names times fields.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <boost/system/result.hpp>

#include "proto/types/result.h"

namespace posthorse::mail {

inline constexpr std::size_t dkim_field_bytes_max = 8'000;
inline constexpr std::size_t dkim_signed_names_max = 200;

// White space within the values is gone.
struct DkimTags {
    std::string domain;       // d=
    std::string selector;     // s=
    std::string algorithm;    // a=
    std::string signature;    // b=
    bool has_length = false;  // l= stands in it
};

// invalid: `what` says in a few words what is wrong with the field's value.
Result<DkimTags> parse_dkim_signature(std::string_view value);

}  // namespace posthorse::mail
