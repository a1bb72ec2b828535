// Networks in CIDR form, and whether an address is in one of them.
//
// Contract  Pure value. "10.0.0.0/8", "2001:db8::/32", a single address without a prefix length.
//           An IPv4-mapped IPv6 address counts as the IPv4 address.
#pragma once

#include <string_view>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "proto/types/result.h"

namespace posthorse::intake {

class AddressSet {
public:
    // invalid: names the first text that is no network.
    static Result<AddressSet> parse(const std::vector<std::string>& networks);
    bool contains(const boost::asio::ip::address& address) const;

private:
    struct Network {
        boost::asio::ip::address_v6 base;  // IPv4 as IPv4-mapped
        unsigned prefix_bits = 128;
    };
    std::vector<Network> networks_;
};

}  // namespace posthorse::intake
