// One entry of pool.etcd.endpoints, taken apart: where a member of etcd serves its clients.
//
// Place     Judged by validate.cc; what daemon/pool_membership.h gives to the client of etcd.
// Contract  Pure: no name is looked up. "https://host:port" or "http://host:port"; the port may be
//           left out (2379), an IPv6 address stands in brackets.
// Errors    nullopt: none of those.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace posthorse::config {

struct EtcdEndpoint {
    bool tls = true;
    std::string host;  // without brackets
    std::uint16_t port = 2379;
    bool operator==(const EtcdEndpoint&) const = default;
    std::string address() const;  // "host:port", "[2001:db8::1]:2379"
};

std::optional<EtcdEndpoint> parse_etcd_endpoint(std::string_view text);

}  // namespace posthorse::config
