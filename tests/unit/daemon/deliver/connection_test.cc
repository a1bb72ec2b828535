#include "daemon/deliver/connection.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

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

// Opens a connection to a polite server and delivers to a, b and c.
Connection::Attempt deliver_to(DeliveryFixture& fixture, Manners manners) {
    SmtpServer server(std::move(manners));
    REQUIRE_FALSE(fixture.open({server.port()}));
    return fixture.deliver(make_job({"a@d.example", "b@d.example", "c@d.example"}));
}

Connection::Settings hasty() {
    auto settings = DeliveryFixture::default_settings();
    for (auto* timeout : {&settings.timeouts.greeting, &settings.timeouts.command,
                          &settings.timeouts.data_start, &settings.timeouts.final_dot,
                          &settings.timeouts.tls_handshake, &settings.timeouts.data_block}) {
        *timeout = 150ms;
    }
    return settings;
}

void hang(Peer& peer) {
    peer.read_to_end();
}

}  // namespace

TEST_CASE("a message goes from chunks to a server, and every recipient has an outcome") {
    SmtpServer server;
    DeliveryFixture fixture;
    REQUIRE_FALSE(fixture.open({server.port()}));
    const auto attempt = fixture.deliver(make_job({"a@d.example", "b@d.example"}));
    fixture.quit();
    REQUIRE(kinds_of(attempt) == std::vector{K::delivered, K::delivered});
    CHECK(attempt.result.health == DestinationHealth::good);
    CHECK(attempt.result.end == AttemptEnd::completed);
    CHECK_FALSE(in_doubt(attempt.result.outcomes));
    const auto& outcome = attempt.result.outcomes[0];
    CHECK(outcome.recipient == 7);
    CHECK(outcome.status.reply.code == 250);
    CHECK(outcome.status.remote == "mx.example[127.0.0.1]:" + std::to_string(server.port()));
    CHECK(outcome.status.tls.empty());
    CHECK(outcome.status.at > WallTime{});
    REQUIRE(server.mails().size() == 1);
    CHECK(server.mails()[0].envelope.at(0).starts_with("MAIL FROM:<sender@example.org>"));
    CHECK(server.mails()[0].envelope.at(2) == "RCPT TO:<b@d.example>");
    CHECK(server.mails()[0].body == "Subject: test\r\n\r\nHello.\r\n");
    CHECK(server.commands().front() == "EHLO client.example");
    CHECK(server.commands().back() == "QUIT");
}

TEST_CASE("a body of many chunks arrives whole, its dots stuffed") {
    SmtpServer server;
    DeliveryFixture fixture;
    std::vector<std::string> chunks{"Subject: big\r\n\r\n.", ".\r\n.", "\r\nlast of them\r"};
    chunks.push_back("\n");
    for (int i = 0; i < 20; ++i) chunks.push_back(std::string(100'000, 'x') + "\r\n.y\r\n");
    chunks.push_back("no line end");
    fixture.messages.set_chunks(chunks);
    REQUIRE_FALSE(fixture.open({server.port()}));
    const auto count = static_cast<std::uint32_t>(chunks.size() - 1);
    const auto attempt = fixture.deliver(make_job({"a@d.example"}, count));
    CHECK(kinds_of(attempt) == std::vector{K::delivered});
    std::string expected = "Subject: big\r\n\r\n...\r\n..\r\nlast of them\r\n";
    for (int i = 0; i < 20; ++i) expected += std::string(100'000, 'x') + "\r\n..y\r\n";
    expected += "no line end\r\n";
    CHECK(server.mails().at(0).body == expected);
}

TEST_CASE("one connection carries many messages") {
    SmtpServer server;
    DeliveryFixture fixture;
    REQUIRE_FALSE(fixture.open({server.port()}));
    for (int i = 0; i < 20; ++i) {
        CHECK(fixture.usable());
        CHECK(kinds_of(fixture.deliver(make_job({"a@d.example"}))) == std::vector{K::delivered});
    }
    CHECK(server.connections() == 1);
    CHECK(server.mails().size() == 20);
}

TEST_CASE("refusals reach just the recipients that they are for") {
    DeliveryFixture fixture;
    SUBCASE("one recipient, for good") {
        const auto attempt =
            deliver_to(fixture, {.replies = {{"RCPT TO:<b@d.example>", "550 5.1.1 no"}}});
        CHECK(kinds_of(attempt).size() == 3);
        for (const auto& outcome : attempt.result.outcomes) {
            const bool refused = outcome.recipient == 8;
            CHECK(outcome.kind == (refused ? K::failed : K::delivered));
            if (refused) CHECK(outcome.status.reply.enhanced == EnhancedCode{5, 1, 1});
        }
    }
    SUBCASE("too many recipients: the rest later") {
        const auto attempt =
            deliver_to(fixture, {.replies = {{"RCPT TO:<c@d.example>", "452 4.5.3 many"}}});
        for (const auto& outcome : attempt.result.outcomes) {
            CHECK(outcome.kind == (outcome.recipient == 9 ? K::deferred : K::delivered));
        }
    }
    SUBCASE("all, at any step") {
        struct Row {
            const char* at;
            const char* reply;
            K kind;
        };
        for (const auto& row : std::initializer_list<Row>{{"MAIL", "550 5.7.1 no", K::failed},
                                                          {"MAIL", "451 4.3.0 later", K::deferred},
                                                          {"RCPT", "554 no", K::failed},
                                                          {"RCPT", "450 greylisted", K::deferred},
                                                          {"DATA", "554 no", K::failed},
                                                          {"DATA", "451 later", K::deferred},
                                                          {".", "554 5.6.0 spam", K::failed},
                                                          {".", "452 full", K::deferred},
                                                          {"MAIL", "421 closing", K::deferred},
                                                          {"RCPT", "421 closing", K::deferred},
                                                          {"DATA", "421 closing", K::deferred},
                                                          {".", "421 closing", K::deferred}}) {
            CAPTURE(row.at);
            CAPTURE(row.reply);
            DeliveryFixture one;
            const auto attempt = deliver_to(one, {.replies = {{row.at, row.reply}}});
            CHECK(kinds_of(attempt) == std::vector(3, row.kind));
            CHECK(attempt.result.health == DestinationHealth::good);
            CHECK_FALSE(in_doubt(attempt.result.outcomes));
            CHECK(attempt.result.outcomes[0].status.reply.code == std::stoi(row.reply));
        }
    }
}

TEST_CASE("after a refusal the connection serves the next message") {
    SmtpServer server(Manners{.replies = {{"RCPT TO:<no@d.example>", "550 no"}}});
    DeliveryFixture fixture;
    REQUIRE_FALSE(fixture.open({server.port()}));
    CHECK(kinds_of(fixture.deliver(make_job({"no@d.example"}))) == std::vector{K::failed});
    CHECK(fixture.usable());
    CHECK(kinds_of(fixture.deliver(make_job({"a@d.example"}))) == std::vector{K::delivered});
    CHECK(server.connections() == 1);
}

TEST_CASE("a server that hangs up before the dot delivered nothing") {
    for (const auto* step : {"MAIL", "RCPT", "DATA"}) {
        CAPTURE(step);
        DeliveryFixture fixture;
        const auto attempt = deliver_to(fixture, {.replies = {{step, ""}}});
        CHECK(kinds_of(attempt) == std::vector(3, K::deferred));
        CHECK(attempt.result.health == DestinationHealth::unreachable);
        CHECK_FALSE(in_doubt(attempt.result.outcomes));
        CHECK(attempt.result.outcomes[0].status.reply.code == 0);
        CHECK_FALSE(attempt.stale);  // the connection was fresh
    }
}

TEST_CASE("a reply to the final dot that is lost leaves the attempt in doubt") {
    DeliveryFixture fixture(hasty());
    SUBCASE("the server hangs up") {
        SmtpServer server(Manners{.replies = {{".", ""}}});
        REQUIRE_FALSE(fixture.open({server.port()}));
        const auto attempt = fixture.deliver(make_job({"a@d.example"}));
        CHECK(kinds_of(attempt) == std::vector{K::deferred});
        CHECK(in_doubt(attempt.result.outcomes));
    }
    SUBCASE("the server says nothing") {
        SmtpServer server([](Peer& peer) {
            peer.write("220 hi\r\n");
            peer.read_line();
            peer.write("250 hi\r\n");
            peer.read_line();
            peer.write("250 ok\r\n");
            peer.read_line();
            peer.write("250 ok\r\n");
            peer.read_line();
            peer.write("354 ok\r\n");
            peer.read_until("\r\n.\r\n");
            hang(peer);
        });
        REQUIRE_FALSE(fixture.open({server.port()}));
        const auto attempt = fixture.deliver(make_job({"a@d.example"}));
        CHECK(kinds_of(attempt) == std::vector{K::deferred});
        CHECK(in_doubt(attempt.result.outcomes));
        CHECK_FALSE(fixture.usable());
    }
}

TEST_CASE("a greeting that is none defers, and never looks like a success") {
    for (const std::string greeting :
         {"850 hi\r\n", "2 hi\r\n", "25 hi\r\n", "250_hi\r\n", "22O hi\r\n", "\r\n", "hello\r\n",
          "220-a\r\n221 b\r\n", "220 hi\n250 x\r\n", "999 x\r\n", "-220 x\r\n", "250 hi\r\n",
          "354 hi\r\n", "554 5.7.1 no\r\n", "421 busy\r\n", "521 no mail\r\n"}) {
        CAPTURE(greeting);
        SmtpServer server([greeting](Peer& peer) {
            peer.write(greeting);
            hang(peer);
        });
        DeliveryFixture fixture(hasty());
        const auto refusal = fixture.open({server.port()});
        REQUIRE(refusal);
        CHECK(refusal->kind == K::deferred);
        CHECK_FALSE(fixture.usable());
    }
}

TEST_CASE("replies without end are cut off") {
    const auto flood = [](std::string first, std::string again) {
        return [first, again](Peer& peer) {
            peer.write(first);
            for (;;) peer.write(again);
        };
    };
    std::string lines;
    for (int i = 0; i < 1000; ++i) lines += "220-more\r\n";
    for (const auto& again : {lines, std::string(100'000, 'x')}) {
        SmtpServer server(flood("220", again));
        DeliveryFixture fixture;
        const auto refusal = fixture.open({server.port()});
        REQUIRE(refusal);
        CHECK(refusal->kind == K::deferred);
    }
    SmtpServer server([&](Peer& peer) {
        peer.write("220 hi\r\n");
        peer.read_line();
        std::string offers;
        for (int i = 0; i < 10'000; ++i) offers += "250-X" + std::to_string(i) + "\r\n";
        peer.write(offers + "250 end\r\n");
        hang(peer);
    });
    DeliveryFixture fixture;
    CHECK(fixture.open({server.port()}));
}

TEST_CASE("a greeting that dribbles has one deadline for the whole") {
    SmtpServer server([](Peer& peer) {
        peer.write("220-");
        // As long as the client stays: an octet for each of its moments.
        for (;;) {
            std::this_thread::sleep_for(5ms);
            peer.write("x");
        }
    });
    DeliveryFixture fixture(hasty());
    const auto refusal = fixture.open({server.port()});
    REQUIRE(refusal);
    CHECK(refusal->reply.enhanced == EnhancedCode{4, 4, 2});
    CHECK(refusal->reply.text.find("timed out") != std::string::npos);
}

TEST_CASE("the next candidate is tried when one cannot be used") {
    SmtpServer refuses(Manners{.replies = {{"", "554 no"}}});
    SmtpServer hangs(hang);
    SmtpServer hangs_up(Manners{.replies = {{"EHLO", ""}}});
    SmtpServer busy(Manners{.replies = {{"EHLO", "421 busy"}}});
    SmtpServer good;
    std::uint16_t closed = 0;
    {
        SmtpServer gone;
        closed = gone.port();
    }
    DeliveryFixture fixture(hasty());
    CHECK_FALSE(fixture.open(
        {closed, refuses.port(), hangs.port(), hangs_up.port(), busy.port(), good.port()}));
    CHECK(kinds_of(fixture.deliver(make_job({"a@d.example"}))) == std::vector{K::delivered});
    CHECK(good.mails().size() == 1);
}

TEST_CASE("when no candidate can be used the last one's reason is told") {
    std::uint16_t closed = 0;
    {
        SmtpServer gone;
        closed = gone.port();
    }
    DeliveryFixture fixture;
    const auto refusal = fixture.open({closed});
    REQUIRE(refusal);
    CHECK(refusal->kind == K::deferred);
    CHECK(refusal->reply.code == 0);
    CHECK(refusal->reply.enhanced == EnhancedCode{4, 4, 1});
    CHECK(refusal->reply.text.find("mx.example[127.0.0.1]:") != std::string::npos);
    CHECK(refusal->reply.text.find("refused") != std::string::npos);
}

TEST_CASE("an old server is spoken to with HELO") {
    SmtpServer server(Manners{.replies = {{"EHLO", "502 what?"}}});
    DeliveryFixture fixture;
    REQUIRE_FALSE(fixture.open({server.port()}));
    auto job = make_job({"a@d.example"});
    CHECK(kinds_of(fixture.deliver(job)) == std::vector{K::delivered});
    CHECK(server.commands().at(1) == "HELO client.example");
    CHECK(server.mails().at(0).envelope.at(0) == "MAIL FROM:<sender@example.org>");
}

TEST_CASE("8-bit mail is announced where 8BITMIME is offered") {
    SmtpServer server;
    DeliveryFixture fixture;
    REQUIRE_FALSE(fixture.open({server.port()}));
    auto job = make_job({"a@d.example"});
    job.body = BodyKind::eight_bit;
    CHECK(kinds_of(fixture.deliver(job)) == std::vector{K::delivered});
    CHECK(server.mails().at(0).envelope.at(0).find("BODY=8BITMIME") != std::string::npos);
}

TEST_CASE("a message goes in rounds to a server that takes few recipients, under one intent") {
    SmtpServer server(Manners{.offers = {"LIMITS RCPTMAX=1 MAILMAX=2"}});
    DeliveryFixture fixture;
    REQUIRE_FALSE(fixture.open({server.port()}));
    const auto attempt = fixture.deliver(make_job({"a@d.example", "b@d.example"}));
    CHECK(kinds_of(attempt) == std::vector{K::delivered, K::delivered});
    CHECK(server.mails().size() == 2);
    CHECK(server.mails().at(1).body == server.mails().at(0).body);
    CHECK_FALSE(fixture.usable());
}

TEST_CASE("who took over the notices is known of each recipient") {
    SmtpServer server(Manners{.offers = {"DSN"}});
    DeliveryFixture fixture;
    REQUIRE_FALSE(fixture.open({server.port()}));
    auto job = make_job({"a@d.example"});
    job.recipient_wishes = {{.notify = {.said = true, .success = true}}};
    const auto attempt = fixture.deliver(job);
    CHECK(attempt.result.outcomes.at(0).status.notices_passed_on);
    CHECK(server.mails().at(0).envelope.at(1).ends_with(" NOTIFY=SUCCESS"));
}

TEST_CASE("a message that the server says is too large is refused without DATA") {
    SmtpServer server(Manners{.offers = {"SIZE 1"}});
    DeliveryFixture fixture;
    REQUIRE_FALSE(fixture.open({server.port()}));
    auto job = make_job({"a@d.example"});
    job.size_bytes = 1000;
    const auto attempt = fixture.deliver(job);
    CHECK(kinds_of(attempt) == std::vector{K::failed});
    CHECK(attempt.result.outcomes[0].status.reply.enhanced == EnhancedCode{5, 3, 4});
    CHECK(attempt.result.health == DestinationHealth::good);
    for (const auto& command : server.commands()) CHECK(command != "DATA");
}

TEST_CASE("the final dot waits for the intent, and nothing of the end leaves before") {
    SmtpServer server;
    DeliveryFixture fixture;
    fixture.messages.hold_intents();
    REQUIRE_FALSE(fixture.open({server.port()}));
    auto attempt =
        std::async(std::launch::async, [&] { return fixture.deliver(make_job({"a@d.example"})); });
    while (server.commands().empty() || server.commands().back() != "DATA")
        std::this_thread::yield();
    CHECK(attempt.wait_for(50ms) == std::future_status::timeout);
    CHECK(fixture.messages.dots_asked() == 0);
    CHECK(server.mails().empty());
    fixture.messages.release_intents();
    CHECK(kinds_of(attempt.get()) == std::vector{K::delivered});
    REQUIRE(fixture.messages.intents().size() == 1);
    const auto intent = fixture.messages.intents()[0];
    CHECK(intent.attempt == 1);
    CHECK(intent.recipients == std::vector<std::uint32_t>{7});
    CHECK(intent.remote.find("127.0.0.1") != std::string::npos);
}

TEST_CASE("without permission the dot is not sent and the connection is reset") {
    std::string end;
    std::promise<void> ended;
    SmtpServer server([&](Peer& peer) {
        wait_for_body(peer);
        end = peer.read_to_end();
        ended.set_value();
    });
    DeliveryFixture fixture;
    fixture.messages.permit_dot(false);
    REQUIRE_FALSE(fixture.open({server.port()}));
    const auto attempt = fixture.deliver(make_job({"a@d.example"}));
    CHECK(kinds_of(attempt) == std::vector{K::deferred});
    CHECK_FALSE(in_doubt(attempt.result.outcomes));
    CHECK(attempt.result.health == DestinationHealth::good);
    CHECK(attempt.result.end == AttemptEnd::unfinished);
    CHECK_FALSE(attempt.stale);
    CHECK_FALSE(fixture.usable());
    ended.get_future().wait();
    CHECK(end.find("\r\n.\r\n") == std::string::npos);
}

TEST_CASE("a reply before its question is not taken for the answer to the dot") {
    SmtpServer server([](Peer& peer) {
        take_envelope(peer);
        peer.read_line();
        peer.write("354 ok\r\n250 2.0.0 accepted already\r\n");
        hang(peer);
    });
    DeliveryFixture fixture;
    REQUIRE_FALSE(fixture.open({server.port()}));
    CHECK(kinds_of(fixture.deliver(make_job({"a@d.example"}))) == std::vector{K::deferred});
}

TEST_CASE("a message that cannot be read is deferred, and its beginning is dropped by the server") {
    SmtpServer server;
    DeliveryFixture fixture;
    fixture.messages.set_chunks({std::string(300'000, 'x'), "y", "z"});
    fixture.messages.fail_chunk(2);
    REQUIRE_FALSE(fixture.open({server.port()}));
    const auto attempt = fixture.deliver(make_job({"a@d.example"}, 2));
    CHECK(kinds_of(attempt) == std::vector{K::deferred});
    CHECK(attempt.result.health == DestinationHealth::good);
    CHECK(fixture.messages.dots_asked() == 0);
    CHECK(server.mails().empty());
}

TEST_CASE("a connection that the server closed while it idled is known for stale") {
    std::promise<void> closed;
    SmtpServer server([&](Peer& peer) {
        wait_for_body(peer);
        peer.read_until("\r\n.\r\n");
        peer.write("250 ok\r\n");
        peer.close();
        closed.set_value();
    });
    DeliveryFixture fixture;
    REQUIRE_FALSE(fixture.open({server.port()}));
    CHECK(kinds_of(fixture.deliver(make_job({"a@d.example"}))) == std::vector{K::delivered});
    closed.get_future().wait();
    SUBCASE("when asked") {
        CHECK_FALSE(fixture.usable());
    }
    SUBCASE("when used") {
        const auto attempt = fixture.deliver(make_job({"b@d.example"}));
        CHECK(attempt.stale);
        CHECK_FALSE(in_doubt(attempt.result.outcomes));
    }
}

TEST_CASE("words out of turn make an idle connection unusable") {
    std::promise<void> said;
    SmtpServer server([&](Peer& peer) {
        peer.write("220 hi\r\n");
        peer.read_line();
        peer.write("250 hi\r\n");
        peer.write("421 going away\r\n");
        said.set_value();
        hang(peer);
    });
    DeliveryFixture fixture;
    const auto refusal = fixture.open({server.port()});
    said.get_future().wait();
    if (!refusal) {
        CHECK_FALSE(fixture.usable());
    } else {
        CHECK(refusal->reply.code == 421);  // both lines came at once
    }
}

TEST_CASE("abort ends what is under way") {
    DeliveryFixture fixture;
    SUBCASE("while it connects") {
        SmtpServer server(hang);
        auto refusal =
            std::async(std::launch::async, [&] { return fixture.open({server.port()}); });
        while (server.connections() == 0) std::this_thread::yield();
        fixture.abort();
        CHECK(refusal.get());
    }
    SUBCASE("before the dot: deferred") {
        SmtpServer server;
        REQUIRE_FALSE(fixture.open({server.port()}));
        fixture.messages.at_dot([&] { fixture.connection->abort(); });
        const auto attempt = fixture.deliver(make_job({"a@d.example"}));
        CHECK(kinds_of(attempt) == std::vector{K::deferred});
        CHECK_FALSE(in_doubt(attempt.result.outcomes));
        CHECK(attempt.result.health == DestinationHealth::good);
        CHECK(server.mails().empty());
    }
    SUBCASE("after the dot: in doubt") {
        SmtpServer server([&](Peer& peer) {
            wait_for_body(peer);
            peer.read_until("\r\n.\r\n");
            fixture.abort();
            hang(peer);
        });
        REQUIRE_FALSE(fixture.open({server.port()}));
        const auto attempt = fixture.deliver(make_job({"a@d.example"}));
        CHECK(kinds_of(attempt) == std::vector{K::deferred});
        CHECK(in_doubt(attempt.result.outcomes));
    }
    CHECK_FALSE(fixture.usable());
}

TEST_CASE("what waits in the kernel when the lease is lost is dropped, and says so") {
    constexpr std::uint32_t chunks = 32;  // more than the buffers of both sides take
    DeliveryFixture fixture;
    fixture.messages.set_chunks(std::vector(chunks + 1, std::string(1 << 20, 'x')));
    std::atomic<bool> ended = false;
    SmtpServer server([&](Peer& peer) {
        wait_for_body(peer);
        while (!ended) {  // while nothing waits, nothing happens
            fixture.lose_lease();
            std::this_thread::yield();
        }
    });
    REQUIRE_FALSE(fixture.open({server.port()}));
    const auto attempt = fixture.deliver(make_job({"a@d.example"}, chunks));
    ended = true;
    CHECK(kinds_of(attempt) == std::vector{K::deferred});
    CHECK_FALSE(in_doubt(attempt.result.outcomes));
    CHECK(attempt.result.end == AttemptEnd::unfinished);
    CHECK(attempt.result.health == DestinationHealth::good);
    CHECK(attempt.result.outcomes[0].status.reply.text.find("the lease was lost") !=
          std::string::npos);
    CHECK_FALSE(fixture.usable());
}

TEST_CASE("the source address is the one that is set") {
    SmtpServer server;
    auto settings = DeliveryFixture::default_settings();
    SUBCASE("ours") {
        settings.source_address = "127.0.0.1";
        DeliveryFixture fixture(settings);
        CHECK_FALSE(fixture.open({server.port()}));
    }
    SUBCASE("of the other family: the system chooses") {
        settings.source_address = "::1";
        DeliveryFixture fixture(settings);
        CHECK_FALSE(fixture.open({server.port()}));
    }
    SUBCASE("not ours") {
        settings.source_address = "192.0.2.1";
        DeliveryFixture fixture(settings);
        const auto refusal = fixture.open({server.port()});
        REQUIRE(refusal);
        CHECK(refusal->reply.text.find("delivery.source_address 192.0.2.1") != std::string::npos);
        CHECK(server.connections() == 0);
    }
}
