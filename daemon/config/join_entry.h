// One entry of pool.join, taken apart: where other nodes may be found.
//
// Place     Judged by validate.cc, looked up by daemon/pool/discovery.h.
// Contract  Pure: no name is looked up.
// Errors    nullopt: none of the forms below.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace posthorse::config {

struct JoinEntry {
    enum class Kind : std::uint8_t {
        address,  // "192.0.2.1", "192.0.2.1:9626", "2001:db8::1", "[2001:db8::1]:9626"
        host,     // "mail.internal", "mail.internal:9626": A and AAAA
        service,  // "_posthorse._tcp.mail.internal": SRV (RFC 2782), which gives the ports too
    };
    Kind kind = Kind::host;
    std::string name;        // without brackets and final dot
    std::uint16_t port = 0;  // 0: none was named
    bool operator==(const JoinEntry&) const = default;
};

std::optional<JoinEntry> parse_join_entry(std::string_view text);

}  // namespace posthorse::config
