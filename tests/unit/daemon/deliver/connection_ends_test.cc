#include "daemon/deliver/connection.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/deliver/delivery_fixture.h"

using namespace posthorse;
using namespace posthorse::deliver;
using namespace posthorse::tests;
using namespace std::chrono_literals;
using K = OutcomeKind;

namespace {

std::vector<K> kinds_of(const Connection::Attempt& attempt) {
    std::vector<K> kinds;
    for (const auto& outcome : attempt.result.outcomes) kinds.push_back(outcome.kind);
    return kinds;
}

}  // namespace

TEST_CASE("LMTP: one reply a recipient, and who was answered is not in doubt") {
    SmtpServer server([](Peer& peer) {
        peer.write("220 box\r\n");
        if (peer.read_line() != "LHLO client.example") return;
        peer.write("250-box\r\n250 PIPELINING\r\n");
        for (int i = 0; i < 5; ++i) peer.read_line();
        peer.write("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
        peer.read_until("\r\n.\r\n");
        peer.write("250 2.0.0 saved\r\n");
        peer.write("552 5.2.2 full\r\n");
    });
    DeliveryFixture fixture;
    const Candidate box{"box.example", "127.0.0.1", server.port(), Protocol::lmtp};
    REQUIRE_FALSE(fixture.open(std::vector{box}));
    const auto attempt = fixture.deliver(make_job({"a@d.example", "b@d.example", "c@d.example"}));
    REQUIRE(kinds_of(attempt) == std::vector{K::delivered, K::failed, K::deferred});
    CHECK(in_doubt(attempt.result.outcomes));
    CHECK(attempt.result.outcomes[0].status.final_delivery);
    CHECK(attempt.result.outcomes[0].status.reply.code == 250);
    CHECK(attempt.result.outcomes[2].status.reply.code == 0);
    CHECK(attempt.result.outcomes[2].status.remote.starts_with("box.example[127.0.0.1]:"));
}

TEST_CASE("an attempt that outlasts all its time is broken off, whatever it waits for") {
    auto settings = DeliveryFixture::default_settings();
    settings.timeouts.attempt = 100ms;
    DeliveryFixture fixture(settings);
    SmtpServer polite;
    SUBCASE("its body, which does not come") {
        fixture.messages.lose_chunk(0);
        REQUIRE_FALSE(fixture.open({polite.port()}));
    }
    SUBCASE("the record of its intent") {
        fixture.messages.hold_intents();
        REQUIRE_FALSE(fixture.open({polite.port()}));
    }
    const auto attempt = fixture.deliver(make_job({"a@d.example"}));
    CHECK(kinds_of(attempt) == std::vector{K::deferred});
    CHECK(attempt.result.end == AttemptEnd::cut_off);
    CHECK(attempt.result.health == DestinationHealth::good);
    CHECK_FALSE(in_doubt(attempt.result.outcomes));
    CHECK(attempt.result.outcomes[0].status.reply.text == "the attempt was not over in time");
    CHECK_FALSE(fixture.usable());
    fixture.messages.release_intents();
    CHECK(polite.mails().empty());
}

TEST_CASE("a server that takes its time is cut off when the attempt's is over") {
    SmtpServer slow([](Peer& peer) {
        take_envelope(peer);
        peer.read_to_end();
    });
    auto settings = DeliveryFixture::default_settings();
    settings.timeouts.attempt = 100ms;
    DeliveryFixture fixture(settings);
    REQUIRE_FALSE(fixture.open({slow.port()}));
    const auto attempt = fixture.deliver(make_job({"a@d.example"}));
    CHECK(kinds_of(attempt) == std::vector{K::deferred});
    CHECK(attempt.result.end == AttemptEnd::cut_off);
}
