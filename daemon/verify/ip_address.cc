#include "daemon/verify/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>

namespace posthorse::verify {
namespace {

constexpr std::array<unsigned char, 12> v4_inside_v6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

}  // namespace

std::optional<IpAddress> parse_ip_address(const std::string& text) {
    IpAddress address;
    if (inet_pton(AF_INET, text.c_str(), address.octets.data()) == 1) return address;
    if (inet_pton(AF_INET6, text.c_str(), address.octets.data()) != 1) return std::nullopt;
    address.family = IpAddress::Family::v6;
    if (!std::equal(v4_inside_v6.begin(), v4_inside_v6.end(), address.octets.begin())) {
        return address;
    }
    IpAddress inner;
    std::copy(address.octets.begin() + v4_inside_v6.size(), address.octets.end(),
              inner.octets.begin());
    return inner;
}

bool within(const IpAddress& address, const IpAddress& network, unsigned prefix) {
    if (address.family != network.family) return false;
    prefix = std::min(prefix, address.bits());
    const auto whole = prefix / 8;
    if (!std::equal(address.octets.begin(), address.octets.begin() + whole,
                    network.octets.begin())) {
        return false;
    }
    const auto rest = prefix % 8;
    if (rest == 0) return true;
    const auto shift = 8 - rest;
    return address.octets[whole] >> shift == network.octets[whole] >> shift;
}

}  // namespace posthorse::verify
