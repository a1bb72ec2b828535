// Where a node listens, as one text: "192.0.2.1:9626", "[2001:db8::1]:9626", "mail.internal:9626".
//
// Contract  Pure. One address has one text, however it was written: texts may be compared.
#pragma once

#include <cstdint>
#include <string>

namespace posthorse::pool {

// `host` is an IP address without brackets, or a name.
std::string endpoint_text(const std::string& host, std::uint16_t port);

}  // namespace posthorse::pool
