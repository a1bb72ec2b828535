#include "daemon/pool/advertise.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include <boost/asio/ip/address.hpp>

#include "daemon/config/join_entry.h"
#include "daemon/pool/endpoint.h"

namespace posthorse::pool {
namespace {

using Address = boost::asio::ip::address;

std::optional<std::string> text_of(const sockaddr* address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const void* octets = nullptr;
    if (address->sa_family == AF_INET) {
        octets = &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
    } else if (address->sa_family == AF_INET6) {
        octets = &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
    }
    if (octets == nullptr ||
        inet_ntop(address->sa_family, octets, text.data(), text.size()) == nullptr) {
        return std::nullopt;
    }
    return text.data();
}

bool is_link_local(const Address& address) {
    if (address.is_v6()) return address.to_v6().is_link_local();
    const auto octets = address.to_v4().to_bytes();
    return octets[0] == 169 && octets[1] == 254;  // RFC 3927
}

bool is_unique_local(const Address& address) {
    return address.is_v6() && (address.to_v6().to_bytes()[0] & 0xfe) == 0xfc;  // RFC 4193
}

enum class Reach : std::uint8_t { v4, v6_global, v6_local, none };

Reach reach_of(const std::string& text) {
    boost::system::error_code failed;
    const auto address = boost::asio::ip::make_address(text, failed);
    if (failed || address.is_loopback() || address.is_unspecified() || is_link_local(address)) {
        return Reach::none;
    }
    if (address.is_v4()) return Reach::v4;
    return is_unique_local(address) ? Reach::v6_local : Reach::v6_global;
}

std::string best_of(const std::vector<std::string>& machine) {
    const auto best =
        std::min_element(machine.begin(), machine.end(),
                         [](const auto& a, const auto& b) { return reach_of(a) < reach_of(b); });
    const bool reachable = best != machine.end() && reach_of(*best) != Reach::none;
    return reachable ? *best : "127.0.0.1";
}

bool is_wildcard(const std::string& text) {
    boost::system::error_code failed;
    return boost::asio::ip::make_address(text, failed).is_unspecified() && !failed;
}

}  // namespace

std::vector<std::string> machine_addresses() {
    ifaddrs* first = nullptr;
    if (getifaddrs(&first) != 0) return {};
    const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owned(first, freeifaddrs);
    std::vector<std::string> addresses;
    for (const auto* one = first; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr || (one->ifa_flags & IFF_UP) == 0) continue;
        if (auto text = text_of(one->ifa_addr)) addresses.push_back(std::move(*text));
    }
    return addresses;
}

std::string advertised(const config::Pool& pool, const std::vector<std::string>& machine) {
    const auto set = config::parse_join_entry(pool.advertise);
    if (set) return endpoint_text(set->name, set->port != 0 ? set->port : pool.port);
    const auto bound = config::parse_join_entry(pool.address);  // takes the brackets off
    const bool fixed = bound && !is_wildcard(bound->name);
    return endpoint_text(fixed ? bound->name : best_of(machine), pool.port);
}

}  // namespace posthorse::pool
