// Before the greeting: who is it, and can it wait?
#include <doctest/doctest.h>

#include "tests/unit/daemon/intake/intake_fixture.h"

using namespace posthorse;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

config::Config with(std::vector<std::string> proxies, Duration greet_pause = {}) {
    auto config = IntakeFixture::default_config();
    for (auto& listener : config.listeners) {
        listener.proxies = proxies;
        if (listener.kind != config::ListenerKind::submissions) listener.greet_pause = greet_pause;
    }
    return config;
}

config::Config behind_proxies() {
    return with({"127.0.0.0/8"});
}

std::string header_of(const std::string& client) {
    return "PROXY TCP4 " + client + " 192.0.2.1 4321 25\r\n";
}

// A session that `client` began through a proxy.
struct Proxied : Client {
    Proxied(IntakeFixture& intake, const std::string& client) : Client(intake.port("mx")) {
        send(header_of(client));
    }
};

std::string deliver(Client& client) {
    CHECK(client.greeting().starts_with("220"));
    client.say("EHLO client.example.org");
    client.say("MAIL FROM:<ann@example.net>");
    CHECK(client.say("RCPT TO:<bob@example.org>").starts_with("250"));
    CHECK(client.say("DATA").starts_with("354"));
    client.send("Subject: hello\r\n\r\nHi Bob.\r\n.\r\n");
    return client.reply();
}

}  // namespace

TEST_CASE("the client behind a proxy is the client: in the trace, in trust, and in the limits") {
    auto config = behind_proxies();
    config.intake.relay_domains = {"example.org"};
    config.intake.sessions_per_client_max = 1;
    IntakeFixture intake(config);
    Proxied first(intake, "198.51.100.7");
    CHECK(deliver(first).starts_with("250"));
    const auto accepted = intake.accepted();
    REQUIRE(accepted.size() == 1);
    CHECK(accepted[0].origin.client_address == "198.51.100.7");
    CHECK(intake.stored(accepted[0]).find("[198.51.100.7]") != std::string::npos);
    CHECK(Proxied(intake, "198.51.100.7").greeting().starts_with("421 4.7.0"));
    CHECK(Proxied(intake, "198.51.100.8").greeting().starts_with("220"));
}

TEST_CASE("a session of a client that a proxy named is given back") {
    auto config = behind_proxies();
    config.intake.sessions_per_client_max = 1;
    IntakeFixture intake(config);
    for (int round = 0; round < 5; ++round) {
        Proxied client(intake, "198.51.100.7");
        CHECK(client.greeting().starts_with("220"));
        CHECK(client.say("QUIT").starts_with("221"));
        CHECK(client.at_end());
        intake.wait_for_sessions(0);
    }
}

TEST_CASE("TLS begins right behind the header") {
    IntakeFixture intake(behind_proxies());
    Client client(intake.port("submissions"));
    client.send(header_of("198.51.100.7"));
    client.start_tls();
    CHECK(client.greeting().starts_with("220"));
    CHECK(client.say("EHLO client.example.org").find("AUTH") != std::string::npos);
}

TEST_CASE("a proxy that does not say for whom it connects is not served") {
    IntakeFixture intake(behind_proxies());
    Client client(intake.port("mx"));
    client.send("EHLO client.example.org\r\n");
    CHECK(client.at_end());
    CHECK(intake.registry.text().find("posthorse_smtp_proxy_failures_total 1") !=
          std::string::npos);
}

TEST_CASE("whoever is no proxy cannot pretend to be somebody else") {
    IntakeFixture intake(with({"192.0.2.0/24"}));
    Client client(intake.port("mx"));
    CHECK(client.greeting().starts_with("220"));
    CHECK(client.say("PROXY TCP4 198.51.100.7 192.0.2.1 4321 25").starts_with("5"));
}

TEST_CASE("a stop does not wait for a proxy that says nothing") {
    IntakeFixture intake(behind_proxies());
    Client silent(intake.port("mx"));
    intake.wait_for_sessions(1);
    intake.stop().get();
    CHECK(silent.at_end());
}

TEST_CASE("who speaks before the greeting hears 554 and is cut off; who waits is served") {
    IntakeFixture intake(with({}, 300ms));
    Client hasty(intake.port("mx"));
    hasty.send("EHLO robot.example.org\r\nMAIL FROM:<spam@example.net>\r\n");
    CHECK(hasty.greeting() == "554 5.5.0 you spoke before the greeting");
    CHECK(hasty.at_end());
    CHECK(intake.registry.text().find("posthorse_smtp_early_talkers_total 1") != std::string::npos);
    Client patient(intake.port("mx"));
    CHECK(patient.greeting().starts_with("220"));
}

TEST_CASE("who does not wait for the answer to EHLO or DATA is cut off (attacks: S10)") {
    IntakeFixture intake;
    Client robot(intake.port("mx"));
    robot.greeting();
    robot.send("EHLO robot.example.org\r\nMAIL FROM:<spam@example.net>\r\n");
    CHECK(robot.reply().starts_with("250-"));
    CHECK(robot.reply().starts_with("554 5.5.0"));
    CHECK(robot.at_end());
    Client blind(intake.port("mx"));
    blind.greeting();
    blind.say("EHLO client.example.org");
    blind.send("MAIL FROM:<ann@example.net>\r\nRCPT TO:<bob@example.org>\r\n");
    CHECK(blind.reply().starts_with("250"));
    CHECK(blind.reply().starts_with("250"));
    blind.send("DATA\r\nSubject: blind\r\n\r\n.\r\n");
    CHECK(blind.reply().starts_with("354"));
    CHECK(blind.reply().starts_with("554 5.5.0"));
    CHECK(blind.at_end());
    CHECK(intake.accepted().empty());
    CHECK(intake.registry.text().find("posthorse_smtp_early_talkers_total 2") != std::string::npos);
}

TEST_CASE("a probe that leaves during the pause is no early talker") {
    IntakeFixture intake(with({}, 60s));
    {
        Client probe(intake.port("mx"));
        intake.wait_for_sessions(1);
    }
    intake.wait_for_sessions(0);
    CHECK(intake.registry.text().find("posthorse_smtp_early_talkers_total 0") != std::string::npos);
}

TEST_CASE("a stop cuts the pause short") {
    IntakeFixture intake(with({}, 60s));
    Client waiting(intake.port("mx"));
    intake.wait_for_sessions(1);
    const auto stopped = intake.stop();
    CHECK(waiting.greeting().starts_with("220"));
    CHECK(waiting.reply().starts_with("421 4.3.2"));
    stopped.wait();
}
