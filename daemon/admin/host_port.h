// Where a node listens, as gRPC wants it: "192.0.2.1:9627", "[2001:db8::1]:9627", "mail:9627".
//
// Contract  Pure.
#pragma once

#include <cstdint>
#include <string>

namespace posthorse::admin {

inline constexpr std::uint16_t admin_port_standard = 9627;

// `host` is an IP address without brackets, or a name.
inline std::string host_port(const std::string& host, std::uint16_t port) {
    const bool is_v6 = host.find(':') != std::string::npos;
    return (is_v6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

}  // namespace posthorse::admin
