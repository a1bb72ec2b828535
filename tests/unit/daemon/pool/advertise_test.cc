#include "daemon/pool/advertise.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "daemon/config/validate.h"

using namespace posthorse;
using namespace posthorse::pool;

namespace {

using Addresses = std::vector<std::string>;

std::string chosen(const Addresses& machine) {
    return advertised({}, machine);
}

}  // namespace

TEST_CASE("what the operator says is advertised, with the pool's port if it has none") {
    const Addresses machine{"192.0.2.7"};
    CHECK(advertised({.advertise = "node-1.mail.internal"}, machine) ==
          "node-1.mail.internal:9626");
    CHECK(advertised({.port = 9000, .advertise = "192.0.2.1"}, machine) == "192.0.2.1:9000");
    CHECK(advertised({.advertise = "[2001:db8::1]:9001"}, machine) == "[2001:db8::1]:9001");
}

TEST_CASE("a node that listens on one address advertises that") {
    const Addresses machine{"192.0.2.7"};
    CHECK(advertised({.address = "192.0.2.9"}, machine) == "192.0.2.9:9626");
    CHECK(advertised({.address = "::1"}, machine) == "[::1]:9626");
    CHECK(advertised({.address = "[2001:db8::1]"}, machine) == "[2001:db8::1]:9626");
    CHECK(advertised({.address = "::"}, machine) == "192.0.2.7:9626");
}

TEST_CASE("of the machine's addresses the first that others can reach is advertised") {
    CHECK(chosen({"127.0.0.1", "192.0.2.1", "192.0.2.2"}) == "192.0.2.1:9626");
    CHECK(chosen({"127.0.0.1", "::1", "fe80::1", "10.1.2.3"}) == "10.1.2.3:9626");
    CHECK(chosen({"2001:db8::1", "192.0.2.1"}) == "192.0.2.1:9626");
    CHECK(chosen({"169.254.1.1", "fd00::1", "2001:db8::1"}) == "[2001:db8::1]:9626");
    CHECK(chosen({"::1", "fe80::1", "fd00::1"}) == "[fd00::1]:9626");
}

TEST_CASE("without any such address a node is reached from its own machine alone") {
    CHECK(chosen({}) == "127.0.0.1:9626");
    CHECK(chosen({"::1", "127.0.0.2", "fe80::1", "169.254.1.1"}) == "127.0.0.1:9626");
}

TEST_CASE("the machine's addresses are addresses") {
    const auto machine = machine_addresses();
    CHECK(std::all_of(machine.begin(), machine.end(), config::is_ip_address));
}
