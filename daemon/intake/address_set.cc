#include "daemon/intake/address_set.h"

#include <charconv>

namespace posthorse::intake {
namespace {

using boost::asio::ip::address;
using boost::asio::ip::address_v6;

address_v6 as_v6(const address& any) {
    return any.is_v6() ? any.to_v6()
                       : boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, any.to_v4());
}

bool same_prefix(const address_v6& a, const address_v6& b, unsigned bits) {
    const auto left = a.to_bytes();
    const auto right = b.to_bytes();
    for (unsigned i = 0; i < bits; i += 8) {
        const unsigned take = std::min(8u, bits - i);
        const auto mask = static_cast<unsigned char>(0xFF00u >> take);
        if ((left[i / 8] & mask) != (right[i / 8] & mask)) return false;
    }
    return true;
}

}  // namespace

Result<AddressSet> AddressSet::parse(const std::vector<std::string>& networks) {
    AddressSet set;
    for (const auto& text : networks) {
        const auto fault =
            Error{Errc::invalid, "'" + text + "' is no network; write 10.0.0.0/8 or 2001:db8::/32"};
        const auto slash = text.find('/');
        boost::system::error_code code;
        const auto base = boost::asio::ip::make_address(text.substr(0, slash), code);
        if (code) return fault;
        const unsigned width = base.is_v4() ? 32 : 128;
        unsigned bits = width;
        if (slash != std::string::npos) {
            const auto* end = text.data() + text.size();
            const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, bits);
            if (error != std::errc{} || stop != end || bits > width) return fault;
        }
        set.networks_.push_back({as_v6(base), bits + (128 - width)});
    }
    return set;
}

bool AddressSet::contains(const address& any) const {
    const auto wanted = as_v6(any);
    for (const auto& network : networks_) {
        if (same_prefix(network.base, wanted, network.prefix_bits)) return true;
    }
    return false;
}

}  // namespace posthorse::intake
