#include "daemon/pool/endpoint.h"

#include <boost/asio/ip/address.hpp>

namespace posthorse::pool {

std::string endpoint_text(const std::string& host, std::uint16_t port) {
    boost::system::error_code no_address;
    const auto address = boost::asio::ip::make_address(host, no_address);
    const auto name = no_address ? host : address.to_string();
    const bool v6 = !no_address && address.is_v6();
    return (v6 ? '[' + name + ']' : name) + ':' + std::to_string(port);
}

}  // namespace posthorse::pool
