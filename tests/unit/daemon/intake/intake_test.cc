#include <doctest/doctest.h>

#include <fstream>

#include "tests/unit/daemon/intake/intake_fixture.h"

using namespace posthorse;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

const std::string plain_ann =
    "AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=";  // ann@example.org, secret

// A session on the submissions port that has logged in.
struct Submitter : Client {
    explicit Submitter(IntakeFixture& intake) : Client(intake.port("submissions"), true) {
        greeting();
        say("EHLO client.example.org");
        REQUIRE(say(plain_ann).starts_with("235 2.7.0"));
    }
};

std::string envelope_of(Client& client, const std::string& sender, const std::string& recipient) {
    client.say("MAIL FROM:<" + sender + ">");
    return client.say("RCPT TO:<" + recipient + ">");
}

std::string send_message(Client& client, const std::string& text) {
    REQUIRE(client.say("DATA").starts_with("354"));
    client.send(text + "\r\n.\r\n");
    return client.reply();
}

const std::string hello = "From: Ann <ann@example.org>\r\nSubject: hello\r\n\r\nHi Bob.";

}  // namespace

TEST_CASE("submission: STARTTLS, AUTH, and the message is in custody before 250 (P1)") {
    IntakeFixture intake;
    Client client(intake.port("submission"));
    CHECK(client.greeting().starts_with("220 mx.example.org"));
    CHECK(client.say("EHLO client.example.org").find("AUTH") == std::string::npos);
    CHECK(client.say("STARTTLS").starts_with("220"));
    client.start_tls();
    CHECK(client.say("MAIL FROM:<ann@example.org>").starts_with("503"));  // all is forgotten
    CHECK(client.say("EHLO client.example.org")
              .find("AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN") != std::string::npos);
    CHECK(client.say("MAIL FROM:<ann@example.org>").starts_with("530 5.7.0"));
    CHECK(client.say(plain_ann).starts_with("235 2.7.0"));
    CHECK(envelope_of(client, "ann@example.org", "bob@example.net").starts_with("250 2.1.5"));
    const auto syncs = intake.disk.syncs();
    const auto answer = send_message(client, hello);
    CHECK(answer.starts_with("250 2.0.0 ok: queued as "));
    CHECK(intake.disk.syncs() > syncs);
    const auto accepted = intake.accepted();
    REQUIRE(accepted.size() == 1);
    CHECK(answer.ends_with(accepted[0].id.to_string()));
    CHECK(accepted[0].origin.protocol == "ESMTPSA");
    CHECK(accepted[0].origin.login == "ann@example.org");
    REQUIRE(accepted[0].history.size() == 1);
    CHECK(accepted[0].history[0].what ==
          "accepted from 127.0.0.1 on submission as ann@example.org");
    CHECK(accepted[0].history[0].at == accepted[0].accepted_at);
    CHECK(accepted[0].history[0].node == intake.context->node);
    const auto stored = intake.stored(accepted[0]);
    CHECK(stored.size() == accepted[0].size_bytes);
    CHECK(stored.starts_with("Received: from client.example.org"));
    CHECK(stored.find("\r\nDate: ") != std::string::npos);
    CHECK(stored.find("\r\nMessage-ID: <") != std::string::npos);
    CHECK(stored.ends_with("\r\n\r\nHi Bob.\r\n"));
    CHECK(client.say("QUIT").starts_with("221"));
}

TEST_CASE("a wrong password is refused, and the session goes on") {
    IntakeFixture intake;
    Client client(intake.port("submissions"), true);
    client.greeting();
    client.say("EHLO c.example.org");
    CHECK(client.say("AUTH PLAIN AGFubkBleGFtcGxlLm9yZwB3cm9uZw==") ==
          "535 5.7.8 authentication failed");
    CHECK(client.say(plain_ann).starts_with("235"));
}

TEST_CASE("a login may not send as somebody else") {
    IntakeFixture intake;
    Submitter client(intake);
    CHECK(client.say("MAIL FROM:<bob@example.org>").starts_with("553 5.7.1"));
}

TEST_CASE("port 25: no relay for strangers, and the message is not altered") {
    IntakeFixture intake;
    Client client(intake.port("mx"));
    client.greeting();
    client.say("EHLO other.example.net");
    CHECK(envelope_of(client, "x@example.net", "y@example.com").starts_with("550 5.7.1"));
    CHECK(client.say("RCPT TO:<bob@example.org>").starts_with("250"));
    CHECK(send_message(client, "Subject: bare\r\n\r\nbody").starts_with("250"));
    const auto accepted = intake.accepted();
    REQUIRE(accepted.size() == 1);
    CHECK(accepted[0].history.at(0).what == "accepted from 127.0.0.1 on mx");
    const auto stored = intake.stored(accepted[0]);
    CHECK(stored.ends_with("Subject: bare\r\n\r\nbody\r\n"));
    CHECK(stored.find("Message-ID:") == std::string::npos);
    CHECK(stored.find("id " + accepted[0].id.to_string()) != std::string::npos);
}

TEST_CASE("a large body streams through in chunks and comes back byte for byte") {
    IntakeFixture intake;
    Submitter client(intake);
    envelope_of(client, "ann@example.org", "bob@example.net");
    REQUIRE(client.say("DATA").starts_with("354"));
    std::string body;
    for (int line = 0; body.size() < 3'000'000; ++line)
        body += "line " + std::to_string(line) + "\r\n";
    client.send(hello + "\r\n" + body + ".\r\n");
    CHECK(client.reply().starts_with("250"));
    const auto accepted = intake.accepted();
    REQUIRE(accepted.size() == 1);
    CHECK(accepted[0].chunk_count >= 11);
    const auto stored = intake.stored(accepted[0]);
    CHECK(stored.ends_with("\r\n\r\nHi Bob.\r\n" + body));
    CHECK(stored.size() == accepted[0].size_bytes);
}

TEST_CASE("messages without a body, without a header, without anything") {
    IntakeFixture intake;
    Client client(intake.port("mx"));
    client.greeting();
    client.say("EHLO other.example.net");
    const auto stored_after = [&](const std::string& wire) {
        envelope_of(client, "", "bob@example.org");
        client.say("DATA");
        client.send(wire);
        REQUIRE(client.reply().starts_with("250"));
        const auto stored = intake.stored(intake.accepted().back());
        const std::string trace_end = "+0000\r\n";
        return stored.substr(stored.find(trace_end) + trace_end.size());
    };
    CHECK(stored_after("Subject: header only\r\n.\r\n") == "Subject: header only\r\n\r\n");
    CHECK(stored_after("Subject: empty body\r\n\r\n.\r\n") == "Subject: empty body\r\n\r\n");
    CHECK(stored_after("\r\nonly a body\r\n.\r\n") == "\r\nonly a body\r\n");
    CHECK(stored_after("no header at all\r\n.\r\n") == "\r\nno header at all\r\n");
    CHECK(stored_after(".\r\n") == "\r\n");
}

TEST_CASE("a bare line feed is refused and nothing is queued (RFC 5321 section 2.3.8)") {
    IntakeFixture intake;
    Client client(intake.port("mx"));
    client.greeting();
    client.say("EHLO other.example.net");
    envelope_of(client, "x@example.net", "bob@example.org");
    client.say("DATA");
    client.send("Subject: s\r\n\r\nsmuggled\n.\nMAIL FROM:<evil@example.net>\r\n.\r\n");
    CHECK(client.reply().starts_with("550 5.5.2"));
    CHECK(client.say("NOOP").starts_with("250"));
    CHECK(intake.accepted().empty());
}

TEST_CASE("a loop ends after received_max hops (RFC 5321 section 6.3)") {
    auto config = IntakeFixture::default_config();
    config.limits.received_max = 3;
    IntakeFixture intake(config);
    Client client(intake.port("mx"));
    client.greeting();
    client.say("EHLO other.example.net");
    envelope_of(client, "x@example.net", "bob@example.org");
    const std::string hop = "Received: from a by b; Thu, 1 Jan 1970 00:00:00 +0000\r\n";
    CHECK(send_message(client, hop + hop + hop + "\r\nx").starts_with("554 5.4.6"));
    CHECK(intake.accepted().empty());
}

TEST_CASE("a header section past its bound is refused, the session goes on") {
    auto config = IntakeFixture::default_config();
    config.limits.header_bytes_max = 1000;
    IntakeFixture intake(config);
    Client client(intake.port("mx"));
    client.greeting();
    client.say("EHLO other.example.net");
    envelope_of(client, "x@example.net", "bob@example.org");
    CHECK(send_message(client, "X: " + std::string(900, 'x') + "\r\nY: " + std::string(900, 'y') +
                                   "\r\n\r\nx")
              .starts_with("552 5.3.4"));
    envelope_of(client, "x@example.net", "bob@example.org");
    CHECK(send_message(client, "Subject: ok\r\n\r\nx").starts_with("250"));
}

TEST_CASE("mail that must be signed and cannot be gets 451 and is not kept (P8)") {
    IntakeFixture intake;
    config::Dkim dkim;
    dkim.key_table = intake.place.path() + "/KeyTable";
    dkim.signing_table = intake.place.path() + "/SigningTable";
    std::ofstream(dkim.key_table) << "k example.org:sel:" << intake.place.path()
                                  << "/no-such-key.pem\n";
    std::ofstream(dkim.signing_table) << "*@example.org k\n";
    intake.signer.use(sign::KeyRing::load(dkim).ring);
    Submitter client(intake);
    envelope_of(client, "ann@example.org", "bob@example.net");
    CHECK(send_message(client, hello).starts_with("451 4.7.5"));
    CHECK(intake.accepted().empty());
    CHECK(intake.store->stats().messages == 0);
}

TEST_CASE("a client that leaves before the final dot leaves nothing behind") {
    IntakeFixture intake;
    {
        Submitter client(intake);
        envelope_of(client, "ann@example.org", "bob@example.net");
        client.say("DATA");
        client.send(hello + std::string(600'000, 'x'));
        client.drop();
    }
    auto stopped = intake.stop();
    stopped.wait();
    CHECK(intake.accepted().empty());
    CHECK(intake.store->stats().messages == 0);
}

TEST_CASE("a disk that is nearly full answers MAIL with 452, a failed one with 451") {
    IntakeFixture intake;
    Submitter client(intake);
    intake.door = intake::Door::full;
    CHECK(client.say("MAIL FROM:<ann@example.org>").starts_with("452 4.3.1"));
    intake.door = intake::Door::failed;
    CHECK(client.say("MAIL FROM:<ann@example.org>").starts_with("451 4.3.0"));
    intake.door = intake::Door::open;
    CHECK(client.say("MAIL FROM:<ann@example.org>").starts_with("250"));
}

TEST_CASE("a failed sync gives 451 at the end of data, never 250") {
    IntakeFixture intake;
    Submitter client(intake);
    envelope_of(client, "ann@example.org", "bob@example.net");
    intake.disk.faults.fail_sync = intake.disk.syncs();
    CHECK(send_message(client, hello).starts_with("451 4.3.0"));
    CHECK(intake.accepted().empty());
}

TEST_CASE("sessions above the limits hear 421") {
    auto config = IntakeFixture::default_config();
    config.intake.sessions_per_client_max = 2;
    IntakeFixture intake(config);
    Client first(intake.port("mx"));
    Client second(intake.port("mx"));
    first.greeting();
    second.greeting();
    Client third(intake.port("mx"));
    CHECK(third.greeting().starts_with("421 4.7.0"));
}

TEST_CASE("a stop ends idle sessions with 421 and lets a transaction finish") {
    IntakeFixture intake;
    Client idle(intake.port("mx"));
    idle.greeting();
    Submitter busy(intake);
    envelope_of(busy, "ann@example.org", "bob@example.net");
    REQUIRE(busy.say("DATA").starts_with("354"));
    busy.send("Subject: in time\r\n");
    auto stopped = intake.stop();
    CHECK(idle.reply().starts_with("421 4.3.2"));
    busy.send("\r\nbody\r\n.\r\n");
    CHECK(busy.reply().starts_with("250"));
    CHECK(busy.reply().starts_with("421 4.3.2"));
    stopped.wait();
    CHECK(intake.accepted().size() == 1);
}

TEST_CASE("a trusted network submits without AUTH and may relay") {
    auto config = IntakeFixture::default_config();
    config.intake.trusted_networks = {"127.0.0.0/8"};
    IntakeFixture intake(config);
    Client client(intake.port("submission"));
    client.greeting();
    client.say("EHLO printer.example.org");
    CHECK(envelope_of(client, "printer@example.org", "bob@example.net").starts_with("250"));
    CHECK(send_message(client, hello).starts_with("250"));
}

TEST_CASE("a slow client is cut off") {
    auto config = IntakeFixture::default_config();
    config.timeouts.server_command = 50ms;
    IntakeFixture intake(config);
    Client client(intake.port("mx"));
    client.greeting();
    client.send("EH");
    CHECK(client.reply().starts_with("421 4.4.2"));
    CHECK(client.at_end());
}

TEST_CASE("submissions get their senders' other names before they are signed; the MX leaves mail") {
    IntakeFixture intake;
    auto map = std::make_shared<intake::SenderMap>("mx.example.org",
                                                   std::vector<std::string>{"example.org"});
    std::vector<config::Problem> problems;
    map->add_table("ann@example.org ann.lee@example.com\n", "generics", problems);
    REQUIRE(problems.empty());
    intake.senders.set(map);
    Submitter client(intake);
    CHECK(envelope_of(client, "ann@example.org", "bob@example.net").starts_with("250"));
    CHECK(send_message(client, hello).starts_with("250"));
    Client stranger(intake.port("mx"));
    stranger.greeting();
    stranger.say("EHLO client.example.org");
    CHECK(envelope_of(stranger, "ann@example.org", "bob@example.org").starts_with("250"));
    CHECK(send_message(stranger, hello).starts_with("250"));
    const auto accepted = intake.accepted();
    REQUIRE(accepted.size() == 2);
    CHECK(accepted[0].sender == "ann.lee@example.com");
    CHECK(intake.stored(accepted[0]).find("From: Ann <ann.lee@example.com>\r\n") !=
          std::string::npos);
    CHECK(accepted[1].sender == "ann@example.org");
    CHECK(intake.stored(accepted[1]).find("From: Ann <ann@example.org>\r\n") != std::string::npos);
}
