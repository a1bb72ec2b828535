#include <doctest/doctest.h>

#include "proto/types/date_time.h"
#include "tests/unit/daemon/intake/intake_fixture.h"

using namespace posthorse;
using namespace posthorse::tests;

namespace {

// A session on port 25 that has opened a message.
struct Sender : Client {
    Sender(IntakeFixture& intake, const std::string& mail, const std::string& rcpt)
        : Client(intake.port("mx")) {
        greeting();
        say("EHLO other.example.net");
        REQUIRE(say("MAIL FROM:" + mail).starts_with("250"));
        REQUIRE(say("RCPT TO:" + rcpt).starts_with("250"));
    }
    void data(const std::string& text) {
        REQUIRE(say("DATA").starts_with("354"));
        send(text + "\r\n.\r\n");
        REQUIRE(reply().starts_with("250"));
    }
};

Envelope accepted_with(const std::string& mail, const std::string& rcpt, const std::string& text) {
    IntakeFixture intake;
    Sender client(intake, mail, rcpt);
    client.data(text);
    return intake.accepted().at(0);
}

const std::string plain = "Subject: hello\r\n\r\nHi Bob.";

}  // namespace

TEST_CASE("what MAIL and RCPT ask for is in the envelope") {
    const auto envelope =
        accepted_with("<ann@example.net> RET=FULL ENVID=x+2B",
                      "<bob@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;rob@x", plain);
    CHECK(envelope.wishes == MailWishes{.ret = ReturnContent::full, .envelope_id = "x+2B"});
    CHECK(envelope.recipients.at(0).wishes ==
          RecipientWishes{.notify = {.said = true, .success = true, .delay = true},
                          .original = "rfc822;rob@x"});
    CHECK(accepted_with("<ann@example.net>", "<bob@example.org>", plain).wishes == MailWishes{});
}

TEST_CASE("a message for SMTPUTF8 is marked as such, and its trace shows the recipient") {
    IntakeFixture intake;
    Sender client(intake, "<\xC3\xB6@example.net> SMTPUTF8", "<b\xC3\xB6@example.org>");
    client.data(
        "Subject: Gr\xC3\xBC\xC3\x9F"
        "e\r\n\r\nHi.");
    const auto envelope = intake.accepted().at(0);
    CHECK(envelope.wishes.utf8);
    CHECK(envelope.utf8_header);
    CHECK(envelope.body == BodyKind::eight_bit);
    CHECK(envelope.origin.protocol == "UTF8SMTP");
    CHECK(envelope.recipients.at(0).address == "b\xC3\xB6@example.org");
    CHECK(intake.stored(envelope).find("for <b\xC3\xB6@example.org>") != std::string::npos);
}

TEST_CASE("a message is 8-bit when it holds such octets, whatever was declared") {
    const std::string mail = "<ann@example.net> BODY=8BITMIME";
    const std::string rcpt = "<bob@example.org>";
    CHECK(accepted_with(mail, rcpt, plain).body == BodyKind::seven_bit);
    const auto in_body = accepted_with("<ann@example.net>", rcpt, plain + " \xE4");
    CHECK(in_body.body == BodyKind::eight_bit);
    CHECK_FALSE(in_body.utf8_header);
    CHECK(accepted_with("<ann@example.net>", rcpt, "X: \xE4\r\n" + plain).utf8_header);
}

TEST_CASE("a message that would only be put off is written as due later") {
    IntakeFixture intake;
    intake.put_off_until = WallTime{std::chrono::hours{1'000'000}};
    Sender client(intake, "<ann@example.net>", "<bob@example.org>");
    client.data(plain);
    CHECK(intake.accepted().at(0).due_at == intake.put_off_until);
    CHECK(intake.kept(intake.accepted().at(0).id).due_at == intake.put_off_until);
}

TEST_CASE("TLS-Required: No is kept (RFC 8689 section 3)") {
    const std::string mail = "<ann@example.net>";
    const std::string rcpt = "<bob@example.org>";
    CHECK(accepted_with(mail, rcpt, "tls-required:\r\n NO\r\n" + plain).wishes.tls_optional);
    CHECK_FALSE(accepted_with(mail, rcpt, "TLS-Required: Yes\r\n" + plain).wishes.tls_optional);
}

namespace {

config::Config with_future_release() {
    auto config = IntakeFixture::default_config();
    config.intake.future_release_max = std::chrono::days{1};
    return config;
}

std::string after_hello(Client& client) {
    client.greeting();
    return client.say("EHLO client.example.org");
}

}  // namespace

TEST_CASE("a message for later is due then, and lives from then on (RFC 4865)") {
    IntakeFixture intake(with_future_release());
    Client client(intake.port("submissions"), true);
    CHECK(after_hello(client).find("FUTURERELEASE 86400 2") != std::string::npos);
    REQUIRE(client.say("AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=").starts_with("235"));
    REQUIRE(client.say("MAIL FROM:<ann@example.org> HOLDFOR=3600").starts_with("250"));
    REQUIRE(client.say("RCPT TO:<bob@example.net>").starts_with("250"));
    REQUIRE(client.say("DATA").starts_with("354"));
    client.send(plain + "\r\n.\r\n");
    REQUIRE(client.reply().starts_with("250"));
    const auto envelope = intake.accepted().at(0);
    const auto release = envelope.accepted_at + std::chrono::hours{1};
    CHECK(envelope.release_at == release);
    CHECK(envelope.due_at == release);
    CHECK(envelope.expires_at == release + intake.config.queue.lifetime);
    CHECK(envelope.warn_at == release + intake.config.queue.delay_warning);
    CHECK(client.say("MAIL FROM:<ann@example.org> HOLDUNTIL=2001-01-01T00:00:00Z") ==
          "501 5.5.4 HOLDUNTIL is over: it must be in the future");
    const auto soon = format_date_time(intake.clock.wall() + std::chrono::hours{2});
    CHECK(client.say("MAIL FROM:<ann@example.org> HOLDUNTIL=" + soon).starts_with("250"));
}

TEST_CASE("a time of delivery stands for the queue's own (RFC 2852)") {
    const std::string rcpt = "<bob@example.org>";
    const auto given_back = accepted_with("<ann@example.net> BY=120;R", rcpt, plain);
    CHECK(given_back.expires_at == given_back.wishes.deliver_by.at);
    CHECK(given_back.expires_at <= given_back.accepted_at + std::chrono::minutes{2});
    CHECK(given_back.expires_at > given_back.accepted_at + std::chrono::minutes{1});
    const auto told = accepted_with("<ann@example.net> BY=120;N", rcpt, plain);
    CHECK(told.warn_at == told.wishes.deliver_by.at);
    CHECK(told.expires_at > told.accepted_at + std::chrono::hours{1});
    const auto over = accepted_with("<ann@example.net> BY=-5;N", rcpt, plain);
    CHECK(over.warn_at == over.accepted_at + std::chrono::hours{4});
    CHECK(accepted_with("<> BY=120;N", rcpt, plain).warn_at == never);
}

TEST_CASE("a release after the time of delivery is refused (RFC 4865 section 5.2)") {
    const WallTime now{std::chrono::days{20'000}};
    MailWishes wishes;
    wishes.release.after = std::chrono::minutes{2};
    wishes.deliver_by = {.otherwise = DeliverBy::Otherwise::notify,
                         .left = std::chrono::minutes{2}};
    CHECK_FALSE(intake::refuse_times(wishes, now));
    wishes.deliver_by.left -= std::chrono::seconds{1};
    CHECK(intake::refuse_times(wishes, now)->enhanced == EnhancedCode{5, 5, 4});
    wishes.release = {.at = now + std::chrono::minutes{2}};
    CHECK(intake::refuse_times(wishes, now)->code == 501);
    wishes.deliver_by = {};
    CHECK_FALSE(intake::refuse_times(wishes, now));
    CHECK(intake::refuse_times(wishes, wishes.release.at)->code == 501);
}

TEST_CASE("the header tells the priority of a submission that MAIL says nothing of (RFC 6758)") {
    const auto submitted = [](const std::string& parameters, const std::string& text) {
        IntakeFixture intake;
        Client client(intake.port("submissions"), true);
        after_hello(client);
        REQUIRE(client.say("AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=").starts_with("235"));
        REQUIRE(client.say("MAIL FROM:<ann@example.org>" + parameters).starts_with("250"));
        REQUIRE(client.say("RCPT TO:<bob@example.net>").starts_with("250"));
        REQUIRE(client.say("DATA").starts_with("354"));
        client.send(text + "\r\n.\r\n");
        REQUIRE(client.reply().starts_with("250"));
        const auto envelope = intake.accepted().at(0);
        const auto trace = "\r\n\tpriority " + std::to_string(envelope.wishes.priority) + ";";
        const bool traced = intake.stored(envelope).find(trace) != std::string::npos;
        CHECK(traced == (envelope.wishes.priority != 0));
        return envelope.wishes.priority;
    };
    CHECK(submitted("", plain) == 0);
    CHECK(submitted("", "MT-Priority: -4 (NON-URGENT)\r\n" + plain) == -4);
    CHECK(submitted("", "MT-Priority: 9\r\n" + plain) == 4);
    CHECK(submitted("", "MT-Priority: urgent\r\n" + plain) == 0);
    CHECK(submitted(" MT-PRIORITY=1", "MT-Priority: -4\r\n" + plain) == 1);
    CHECK(submitted(" MT-PRIORITY=0", "MT-Priority: -4\r\n" + plain) == 0);
    CHECK(accepted_with("<x@example.net>", "<bob@example.org>", "MT-Priority: 4\r\n" + plain)
              .wishes.priority == 0);
}

TEST_CASE("messages for later are taken where they are submitted, and where the setting says so") {
    IntakeFixture intake(with_future_release());
    Client stranger(intake.port("mx"));
    CHECK(after_hello(stranger).find("FUTURERELEASE") == std::string::npos);
    CHECK(stranger.say("MAIL FROM:<x@example.net> HOLDFOR=1").starts_with("555 5.5.4"));
    IntakeFixture without;
    Client submitter(without.port("submissions"), true);
    CHECK(after_hello(submitter).find("FUTURERELEASE") == std::string::npos);
}

TEST_CASE("a message in chunks is in custody like any other") {
    IntakeFixture intake;
    Sender client(intake, "<ann@example.net>", "<bob@example.org>");
    client.send("BDAT 10\r\nSubject: aBDAT 0\r\n");
    CHECK(client.reply().starts_with("250"));
    CHECK(client.reply().starts_with("250"));
    const std::string body = "\r\n\r\n.\r\n" + std::string(300'000, 'x');
    client.send("BDAT " + std::to_string(body.size()) + " LAST\r\n" + body);
    CHECK(client.reply().starts_with("250 2.0.0 ok: queued as "));
    const auto envelope = intake.accepted().at(0);
    CHECK(envelope.chunk_count >= 1);
    CHECK(intake.stored(envelope).ends_with("Subject: a" + body + "\r\n"));
}

TEST_CASE("a message in chunks that is dropped leaves nothing") {
    IntakeFixture intake;
    Sender client(intake, "<ann@example.net>", "<bob@example.org>");
    client.send("BDAT 10\r\nSubject: a");
    CHECK(client.reply().starts_with("250"));
    CHECK(client.say("RSET").starts_with("250"));
    CHECK(client.say("NOOP").starts_with("250"));
    CHECK(intake.accepted().empty());
}
