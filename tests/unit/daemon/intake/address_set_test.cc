#include "daemon/intake/address_set.h"

#include <doctest/doctest.h>

using namespace posthorse::intake;
using boost::asio::ip::make_address;

namespace {

bool in(const char* network, const char* address) {
    const auto set = AddressSet::parse({network});
    REQUIRE(set.has_value());
    return set->contains(make_address(address));
}

}  // namespace

TEST_CASE("networks hold their addresses and no others") {
    CHECK(in("10.0.0.0/8", "10.255.255.255"));
    CHECK_FALSE(in("10.0.0.0/8", "11.0.0.0"));
    CHECK(in("192.0.2.128/25", "192.0.2.128"));
    CHECK_FALSE(in("192.0.2.128/25", "192.0.2.127"));
    CHECK(in("192.0.2.7", "192.0.2.7"));
    CHECK_FALSE(in("192.0.2.7", "192.0.2.8"));
    CHECK(in("0.0.0.0/0", "203.0.113.1"));
    CHECK_FALSE(in("0.0.0.0/0", "2001:db8::1"));
    CHECK(in("2001:db8::/33", "2001:db8:7fff::1"));
    CHECK_FALSE(in("2001:db8::/33", "2001:db8:8000::1"));
    CHECK(in("::1", "::1"));
}

TEST_CASE("an IPv4 client that came in over IPv6 is the IPv4 client") {
    CHECK(in("10.0.0.0/8", "::ffff:10.1.2.3"));
    CHECK_FALSE(in("10.0.0.0/8", "::ffff:11.1.2.3"));
}

TEST_CASE("what is no network is named") {
    for (const auto* text :
         {"", "ten", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x", "::/129", "10.0.0/8"}) {
        CAPTURE(text);
        const auto set = AddressSet::parse({"127.0.0.1", text});
        REQUIRE_FALSE(set.has_value());
        CHECK(set.error().what.find("'" + std::string(text) + "'") != std::string::npos);
    }
}
