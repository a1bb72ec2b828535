// STARTTLS: used where it works, left where it does not, and never talked into anything.
#include <doctest/doctest.h>

#include "daemon/deliver/connection.h"
#include "tests/unit/daemon/deliver/delivery_fixture.h"

using namespace posthorse;
using namespace posthorse::deliver;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> with_starttls = {"STARTTLS", "PIPELINING"};

Connection::Settings with_tls(smtp::TlsUse use) {
    auto settings = DeliveryFixture::default_settings();
    settings.tls = use;
    settings.timeouts.tls_handshake = 200ms;
    return settings;
}

bool delivered(const Connection::Attempt& attempt) {
    return attempt.result.outcomes.at(0).kind == OutcomeKind::delivered;
}

}  // namespace

TEST_CASE("TLS is used where it is offered, and told in the outcome") {
    SmtpServer server(Manners{.offers = with_starttls});
    DeliveryFixture fixture;
    REQUIRE_FALSE(fixture.open({server.port()}));
    CHECK(fixture.connection->secure());
    for (int i = 0; i < 3; ++i) {
        CHECK(fixture.usable());
        const auto attempt = fixture.deliver(make_job({"a@d.example"}));
        CHECK(delivered(attempt));
        CHECK(attempt.result.outcomes[0].status.tls.find("TLSv1.") == 0);
    }
    fixture.quit();
    REQUIRE(server.mails().size() == 3);
    CHECK(server.mails()[0].secure);
    CHECK(server.connections() == 1);
}

TEST_CASE("a large body goes whole under TLS") {
    SmtpServer server(Manners{.offers = with_starttls});
    DeliveryFixture fixture;
    const std::string piece(200'000, 'x');
    fixture.messages.set_chunks({piece + "\r\n", piece + "\r\n", piece});
    REQUIRE_FALSE(fixture.open({server.port()}));
    CHECK(delivered(fixture.deliver(make_job({"a@d.example"}, 2))));
    CHECK(server.mails().at(0).body == piece + "\r\n" + piece + "\r\n" + piece + "\r\n");
}

TEST_CASE("what was offered in clear is forgotten under TLS") {
    SmtpServer server(Manners{.offers = {"STARTTLS", "8BITMIME"}, .offers_in_tls = {"HELP"}});
    DeliveryFixture fixture;
    REQUIRE_FALSE(fixture.open({server.port()}));
    auto job = make_job({"a@d.example"});
    job.body = BodyKind::eight_bit;
    const auto attempt = fixture.deliver(job);
    CHECK(attempt.result.outcomes.at(0).status.reply.enhanced == EnhancedCode{5, 6, 3});
    CHECK(server.mails().empty());
}

TEST_CASE("TLS that is not wanted is not used") {
    SmtpServer server(Manners{.offers = with_starttls});
    DeliveryFixture fixture(with_tls(smtp::TlsUse::never));
    REQUIRE_FALSE(fixture.open({server.port()}));
    CHECK_FALSE(fixture.connection->secure());
}

TEST_CASE("a server that refuses STARTTLS is spoken to in clear, unless TLS is required") {
    for (const std::string reply : {"454 4.7.0 not now", "502 no", "501 what"}) {
        CAPTURE(reply);
        SmtpServer server(Manners{.replies = {{"STARTTLS", reply}}, .offers = with_starttls});
        DeliveryFixture fixture;
        REQUIRE_FALSE(fixture.open({server.port()}));
        CHECK(delivered(fixture.deliver(make_job({"a@d.example"}))));
        CHECK(server.connections() == 1);

        DeliveryFixture strict(with_tls(smtp::TlsUse::required));
        const auto refusal = strict.open({server.port()});
        REQUIRE(refusal);
        CHECK(refusal->kind == OutcomeKind::deferred);
    }
}

TEST_CASE("required TLS that is not offered defers and sends nothing in clear") {
    SmtpServer server;
    DeliveryFixture fixture(with_tls(smtp::TlsUse::required));
    const auto refusal = fixture.open({server.port()});
    REQUIRE(refusal);
    CHECK(refusal->reply.enhanced == EnhancedCode{4, 7, 4});
    for (const auto& command : server.commands()) CHECK_FALSE(command.starts_with("MAIL"));
}

TEST_CASE("a handshake that fails is followed by a connection in clear, unless TLS is required") {
    std::atomic<int> handshakes = 0;
    const auto bad_tls = [&handshakes](bool garbage) {
        return [&handshakes, garbage](Peer& peer) {
            peer.write("220 hi\r\n");
            peer.read_line();
            peer.write("250-hi\r\n250 STARTTLS\r\n");
            if (peer.read_line() == "STARTTLS") {
                ++handshakes;
                peer.write(garbage ? "220 go\r\nthis is no TLS record at all\r\n" : "220 go\r\n");
                peer.read_to_end();
                return;
            }
            peer.write("250 ok\r\n");
            peer.read_line();
            peer.write("250 ok\r\n");
            peer.read_line();
            peer.write("354 ok\r\n");
            peer.read_until("\r\n.\r\n");
            peer.write("250 ok\r\n");
            peer.read_to_end();
        };
    };
    for (const bool garbage : {true, false}) {  // false: it hangs
        CAPTURE(garbage);
        SmtpServer server(bad_tls(garbage));
        DeliveryFixture fixture(with_tls(smtp::TlsUse::when_offered));
        REQUIRE_FALSE(fixture.open({server.port()}));
        CHECK_FALSE(fixture.connection->secure());
        CHECK(delivered(fixture.deliver(make_job({"a@d.example"}))));
        CHECK(server.connections() == 2);
        CHECK(handshakes.exchange(0) == 1);

        DeliveryFixture strict(with_tls(smtp::TlsUse::required));
        const auto refusal = strict.open({server.port()});
        REQUIRE(refusal);
        CHECK(refusal->reply.enhanced == EnhancedCode{4, 7, 5});
        CHECK(server.connections() == 3);
        handshakes = 0;
    }
}

TEST_CASE("replies slipped in before the handshake count for nothing inside it") {
    SmtpServer server([](Peer& peer) {
        peer.write("220 hi\r\n");
        peer.read_line();
        peer.write("250-hi\r\n250 STARTTLS\r\n");
        peer.read_line();
        // The handshake follows, but so did octets that pretend to come from inside.
        peer.write("220 go\r\n250-evil\r\n250 8BITMIME\r\n");
        peer.read_to_end();
    });
    DeliveryFixture fixture(with_tls(smtp::TlsUse::required));
    const auto refusal = fixture.open({server.port()});
    // Octets read with the 220 are dropped; those read later break the handshake.
    REQUIRE(refusal);
    CHECK(refusal->kind == OutcomeKind::deferred);
}

TEST_CASE("STARTTLS answered by nonsense is no permission to go on") {
    for (const std::string reply : {"354 go\r\n", "250 ok\r\n"}) {
        CAPTURE(reply);
        SmtpServer server([reply](Peer& peer) {
            peer.write("220 hi\r\n");
            peer.read_line();
            peer.write("250-hi\r\n250 STARTTLS\r\n");
            peer.read_line();
            peer.write(reply);
            peer.read_to_end();
        });
        DeliveryFixture fixture(with_tls(smtp::TlsUse::when_offered));
        const auto refusal = fixture.open({server.port()});
        REQUIRE(refusal);
        CHECK(refusal->kind == OutcomeKind::deferred);
    }
}
