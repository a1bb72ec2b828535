#include "daemon/intake/pool_limits.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/intake/intake_fixture.h"

using namespace posthorse;
using namespace posthorse::intake;
using namespace std::chrono_literals;

namespace {

std::string network(const char* address) {
    return client_network(boost::asio::ip::make_address(address));
}

}  // namespace

TEST_CASE("a client is an IPv4 address or an IPv6 network of 64 bits") {
    CHECK(network("192.0.2.1") == "192.0.2.1");
    CHECK(network("::ffff:192.0.2.1") == "192.0.2.1");
    CHECK(network("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64");
    CHECK(network("2001:db8:1:2::1") == network("2001:db8:1:2:ffff::"));
    CHECK(network("2001:db8:1:3::1") != network("2001:db8:1:2::1"));
}

TEST_CASE("delays grow with a client's failures, and end at half a minute") {
    config::Auth auth;
    auth.failure_delay = 2s;
    auth.failures_per_login_max = 10;
    const auto delay = [&](std::uint64_t from_client, std::uint64_t from_all) {
        return login_delay(auth, {{from_client}, {from_all}});
    };
    CHECK(delay(9, 9) == 0s);
    CHECK(delay(10, 10) == 2s);
    CHECK(delay(20, 20) == 4s);
    CHECK(delay(35, 35) == 8s);
    CHECK(delay(1'000'000, 1'000'000) == 30s);
    CHECK(delay(0, 99) == 0s);
    CHECK(delay(0, 1'000'000) == 2s);  // an attack from everywhere: a delay, no lock
    auth.failures_per_login_max = 0;
    CHECK(delay(1'000'000, 1'000'000) == 0s);
    auth.failures_per_login_max = 10;
    auth.failure_delay = 0s;
    CHECK(delay(1'000'000, 1'000'000) == 0s);
}

TEST_CASE("whom a message counts for") {
    const auth::SenderPolicy policy("mx.example.org", {"robot"});
    const Client user{config::ListenerKind::submission, false, "ann"};
    const Client robot{config::ListenerKind::submission, false, "robot"};
    const Client neighbour{config::ListenerKind::mx, true, ""};
    const Client stranger{config::ListenerKind::mx, false, ""};
    CHECK(counted_sender(policy, user, "Other@example.org") == "ann");
    CHECK(counted_sender(policy, robot, "Ann@example.org") == "ann@example.org");
    CHECK(counted_sender(policy, neighbour, "Ann@example.org") == "ann@example.org");
    CHECK(counted_sender(policy, stranger, "ann@example.org").empty());
    CHECK(counted_sender(policy, neighbour, "").empty());
}

TEST_CASE("who connects too often waits for the greeting, and gets it") {
    auto config = tests::IntakeFixture::default_config();
    config.limits.client_connections_per_second = 1;
    tests::IntakeFixture intake(config);
    const auto delayed = [&] {
        return intake.registry.text().find("posthorse_smtp_greetings_delayed_total 0\n") ==
               std::string::npos;
    };
    int connections = 0;  // in less time than the window has
    while (!delayed() && connections < 100) {
        tests::Client client(intake.port("mx"));
        CHECK(client.greeting().starts_with("220"));
        ++connections;
    }
    CHECK(delayed());
    CHECK(connections > 12);
}
