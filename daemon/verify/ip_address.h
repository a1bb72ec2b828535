// An IP address as its octets, for networks in SPF records.
//
// Contract  Pure. An IPv4 address inside IPv6 (::ffff:192.0.2.1) is the IPv4 address: SPF knows it
//           as such (RFC 7208 section 5).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace posthorse::verify {

struct IpAddress {
    enum class Family : std::uint8_t { v4, v6 };
    Family family = Family::v4;
    std::array<unsigned char, 16> octets{};  // the first four of them for v4

    bool operator==(const IpAddress&) const = default;
    unsigned bits() const { return family == Family::v4 ? 32 : 128; }
};

std::optional<IpAddress> parse_ip_address(const std::string& text);

// Whether both are of one family and agree in their first `prefix` bits.
bool within(const IpAddress& address, const IpAddress& network, unsigned prefix);

}  // namespace posthorse::verify
