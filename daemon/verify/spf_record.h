// An SPF record as a value (RFC 7208 sections 4.5, 4.6.1, 5, 6 and 12).
//
// Contract  Pure. parse_spf_record() is all or nothing: one term that breaks the grammar makes the
//           record a permanent error, whichever term would have matched. The text of an explanation
//           (exp=) is of no interest here; the modifier's grammar is.
// Bounds    spf_record_bytes_max.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/verify/ip_address.h"

namespace posthorse::verify {

inline constexpr std::size_t spf_record_bytes_max = 8192;

enum class SpfResult : std::uint8_t {
    none,       // nobody says who may send for the domain
    neutral,    // the domain says that it says nothing
    pass,       // may send
    fail,       // may not
    softfail,   // probably may not
    temperror,  // the DNS does not answer now
    permerror,  // what the domain published cannot be understood
};

std::string_view to_string(SpfResult result);

struct SpfMechanism {
    enum class Kind : std::uint8_t { all, include, a, mx, ptr, ip4, ip6, exists };
    SpfResult on_match = SpfResult::pass;  // the qualifier
    Kind kind = Kind::all;
    std::string domain;  // domain-spec with its macros; empty: the domain of the record
    IpAddress network;   // of ip4 and ip6
    unsigned v4_bits = 32;
    unsigned v6_bits = 128;
};

struct SpfRecord {
    std::vector<SpfMechanism> mechanisms;
    std::string redirect;  // domain-spec; empty: none
};

// Whether the text of a TXT record claims to be one (section 4.5).
bool is_spf_record(std::string_view text);
// nullopt: a permanent error. `text` is one.
std::optional<SpfRecord> parse_spf_record(std::string_view text);

}  // namespace posthorse::verify
