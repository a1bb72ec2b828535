#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "proto/smtp/client_session.h"
#include "tests/support/client_peer.h"

using namespace posthorse;
using namespace posthorse::smtp;
using posthorse::test::ClientPeer;

namespace {

// A server that offers `keywords` and has heard what the client says to it first.
struct Server {
    explicit Server(std::string keywords, std::vector<Job> jobs, TlsPeer tls = TlsPeer::unverified)
        : peer({.helo = "me", .tls = TlsUse::when_offered}, std::move(jobs)) {
        peer.tls_peer = tls;
        peer.receive("220 mx\r\n");
        const auto offer = "250-mx\r\n" + keywords + "250 PIPELINING\r\n";
        if (tls == TlsPeer::verified) peer.receive("250-mx\r\n250 STARTTLS\r\n220 go\r\n");
        peer.take_output();
        peer.receive(offer);
    }
    // What the client says next.
    std::string hears() { return peer.take_output(); }
    const RecipientResult& result(std::size_t index, std::size_t job = 0) {
        return peer.results().at(job).at(index);
    }

    ClientPeer peer;
};

Job job_for(std::vector<std::string> recipients) {
    return {.sender = "a@b", .recipients = std::move(recipients)};
}

void check_refused(const RecipientResult& result, EnhancedCode code) {
    CHECK(result.kind == OutcomeKind::failed);
    CHECK(result.reply.code == 0);
    CHECK(result.reply.enhanced == code);
}

const std::string accepted_one = "250 ok\r\n250 ok\r\n354 go\r\n";

}  // namespace

TEST_CASE("SMTPUTF8 is said when it is offered and needed (RFC 6531 section 3.4)") {
    auto plain = job_for({"c@d"});
    plain.wishes.utf8 = true;
    CHECK(Server("250-SMTPUTF8\r\n", {plain}).hears() ==
          "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    auto header = plain;
    header.utf8_header = true;
    CHECK(Server("250-SMTPUTF8\r\n", {header}).hears() ==
          "MAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    auto address = job_for({"c\xC3\xB6@d"});
    address.wishes.utf8 = true;
    CHECK(Server("250-SMTPUTF8\r\n", {address}).hears() ==
          "MAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<c\xC3\xB6@d>\r\nDATA\r\n");
}

TEST_CASE("without SMTPUTF8 goes what is ASCII, and what is not fails (attacks: C7)") {
    auto mixed = job_for({"c@d", "c\xC3\xB6@d"});
    mixed.wishes.utf8 = true;
    Server server("", {mixed});
    CHECK(server.hears() == "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    CHECK(server.result(0).recipient == 1);
    check_refused(server.result(0), {5, 6, 7});

    auto sender = job_for({"c@d"});
    sender.sender = "\xC3\xB6@b";
    auto header = job_for({"c@d"});
    header.wishes.utf8 = header.utf8_header = true;
    for (const auto& job : {sender, header}) {
        Server none("250-8BITMIME\r\n", {job});
        CHECK(none.hears() == "QUIT\r\n");
        check_refused(none.result(0), {5, 6, 7});
    }
    // Octets above 127 in a header that nobody declared pass as they always did.
    auto raw = job_for({"c@d"});
    raw.utf8_header = true;
    CHECK(Server("", {raw}).hears().starts_with("MAIL FROM:<a@b>\r\n"));
}

TEST_CASE("8BITMIME is said when it is offered and needed; lacking it, the message fails") {
    auto job = job_for({"c@d"});
    CHECK(Server("250-8BITMIME\r\n", {job}).hears().starts_with("MAIL FROM:<a@b>\r\n"));
    job.body = BodyKind::eight_bit;
    CHECK(
        Server("250-8BITMIME\r\n", {job}).hears().starts_with("MAIL FROM:<a@b> BODY=8BITMIME\r\n"));
    Server lacking("", {job});
    CHECK(lacking.hears() == "QUIT\r\n");
    check_refused(lacking.result(0), {5, 6, 3});
}

TEST_CASE("what is asked of notices is passed on to who understands it") {
    auto job = job_for({"c@d", "e@f", "g@h"});
    job.wishes.ret = ReturnContent::headers;
    job.wishes.envelope_id = "QQ+2B1";
    job.recipient_wishes = {{{.said = true, .success = true, .delay = true}, "rfc822;x+2By@z"},
                            {{.said = true}, ""},
                            {{}, "utf-8;\xC3\xB6@z"}};
    Server server("250-DSN\r\n", {job});
    CHECK(server.hears() ==
          "MAIL FROM:<a@b> RET=HDRS ENVID=QQ+2B1\r\n"
          "RCPT TO:<c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@z\r\n"
          "RCPT TO:<e@f> NOTIFY=NEVER\r\n"
          "RCPT TO:<g@h> ORCPT=utf-8;\\x{F6}@z\r\nDATA\r\n");
    server.peer.receive("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    server.peer.receive("250 taken\r\n");
    CHECK(server.result(0).notices_passed_on);
    CHECK_FALSE(server.result(1).notices_passed_on);  // nothing was wanted

    Server none("", {job});
    CHECK(none.hears() ==
          "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nRCPT TO:<g@h>\r\nDATA\r\n");
    none.peer.receive("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    none.peer.receive("250 taken\r\n");
    CHECK_FALSE(none.result(0).notices_passed_on);
}

TEST_CASE("REQUIRETLS wants a verified server that offers it inside TLS (RFC 8689)") {
    auto job = job_for({"c@d"});
    job.wishes.require_tls = true;
    Server good("250-REQUIRETLS\r\n", {job}, TlsPeer::verified);
    CHECK(good.hears().starts_with("MAIL FROM:<a@b> REQUIRETLS\r\n"));
    Server lacking("", {job}, TlsPeer::verified);
    CHECK(lacking.hears() == "QUIT\r\n");
    check_refused(lacking.result(0), {5, 7, 30});
    Server unverified("250-REQUIRETLS\r\n", {job});
    CHECK(unverified.hears() == "QUIT\r\n");
    check_refused(unverified.result(0), {5, 7, 30});
    // Nobody else is held to it.
    CHECK(Server("250-REQUIRETLS\r\n", {job_for({"c@d"})}, TlsPeer::verified)
              .hears()
              .starts_with("MAIL FROM:<a@b>\r\n"));
}

namespace {

Job job_until(DeliverBy::Otherwise otherwise, int seconds) {
    auto job = job_for({"c@d"});
    job.wishes.deliver_by = {.otherwise = otherwise, .left = std::chrono::seconds{seconds}};
    return job;
}

}  // namespace

TEST_CASE("what must come back when it is late goes where that is known (RFC 2852)") {
    const auto job = job_until(DeliverBy::Otherwise::give_back, 120);
    Server good("250-DELIVERBY 120\r\n", {job});
    CHECK(good.hears() == "MAIL FROM:<a@b> BY=120;R\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    good.peer.receive(accepted_one);
    good.peer.receive("250 taken\r\n");
    CHECK(good.result(0).kind == OutcomeKind::delivered);
    CHECK_FALSE(good.result(0).tell_relay);
    Server slow("250-DELIVERBY 121\r\n", {job});
    CHECK(slow.hears() == "QUIT\r\n");
    check_refused(slow.result(0), {5, 4, 7});
    Server lacking("", {job});
    CHECK(lacking.hears() == "QUIT\r\n");
    check_refused(lacking.result(0), {5, 3, 3});
    Server late("250-DELIVERBY\r\n", {job_until(DeliverBy::Otherwise::give_back, 0)});
    CHECK(late.hears() == "QUIT\r\n");
    check_refused(late.result(0), {5, 4, 7});
}

TEST_CASE("who wants to hear of delays does, also where the time is not known (RFC 2852)") {
    auto job = job_until(DeliverBy::Otherwise::notify, 120);
    job.recipients = {"c@d", "e@f", "g@h"};
    job.recipient_wishes = {{}, {{.said = true, .success = true}, ""}, {{.said = true}, ""}};
    Server lacking("250-DSN\r\n", {job});
    CHECK(lacking.hears() ==
          "MAIL FROM:<a@b>\r\nRCPT TO:<c@d> NOTIFY=FAILURE,DELAY\r\n"
          "RCPT TO:<e@f> NOTIFY=SUCCESS,DELAY\r\nRCPT TO:<g@h> NOTIFY=NEVER\r\nDATA\r\n");
    lacking.peer.receive("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    lacking.peer.receive("250 taken\r\n");
    CHECK(lacking.result(0).tell_relay);
    CHECK(lacking.result(1).tell_relay);
    CHECK_FALSE(lacking.result(2).tell_relay);

    Server good("250-DSN\r\n250-DELIVERBY\r\n", {job});
    CHECK(good.hears().starts_with("MAIL FROM:<a@b> BY=120;N\r\nRCPT TO:<c@d>\r\n"));
    good.peer.receive("250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    good.peer.receive("250 taken\r\n");
    CHECK_FALSE(good.result(0).tell_relay);
    // Once the time is over its sender has been told.
    Server over("250-DSN\r\n", {job_until(DeliverBy::Otherwise::notify, -3)});
    CHECK(over.hears().starts_with("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"));
}

TEST_CASE("a traced message has its relays told (RFC 2852 section 4.1.4)") {
    auto job = job_until(DeliverBy::Otherwise::notify, -3);
    job.wishes.deliver_by.trace = true;
    Server server("250-DELIVERBY\r\n", {job});
    CHECK(server.hears().starts_with("MAIL FROM:<a@b> BY=-3;NT\r\n"));
    server.peer.receive(accepted_one);
    server.peer.receive("250 taken\r\n");
    CHECK(server.result(0).tell_relay);
}

TEST_CASE("a priority goes on to who knows of it (RFC 6710 section 4.2)") {
    auto job = job_for({"c@d"});
    job.wishes.priority = -3;
    CHECK(Server("250-MT-PRIORITY\r\n", {job})
              .hears()
              .starts_with("MAIL FROM:<a@b> MT-PRIORITY=-3\r\n"));
    CHECK(Server("", {job}).hears().starts_with("MAIL FROM:<a@b>\r\n"));
}

TEST_CASE("a server that takes few recipients gets the message in rounds (RFC 9422)") {
    Server server("250-LIMITS RCPTMAX=2\r\n", {job_for({"c@d", "e@f", "g@h"})});
    CHECK(server.hears() == "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n");
    server.peer.receive("250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n");
    server.peer.receive("250 taken\r\n");
    CHECK(server.hears() == "(body).\r\nMAIL FROM:<a@b>\r\nRCPT TO:<g@h>\r\nDATA\r\n");
    server.peer.receive(accepted_one);
    server.peer.receive("250 taken\r\n");
    CHECK(server.hears() == "(body).\r\nQUIT\r\n");
    CHECK(server.peer.results().at(0).size() == 3);
    CHECK(server.result(0).kind == OutcomeKind::delivered);
    CHECK(server.result(1).kind == OutcomeKind::failed);
    CHECK(server.result(2).kind == OutcomeKind::delivered);
}

TEST_CASE("recipients are split by their domains where the server says so") {
    Server server("250-LIMITS RCPTDOMAINMAX=1\r\n", {job_for({"c@d", "e@D", "g@h"})});
    CHECK(server.hears() == "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@D>\r\nDATA\r\n");
}

TEST_CASE("all recipients of a round refused: the next round begins behind RSET") {
    Server server("250-LIMITS RCPTMAX=1\r\n", {job_for({"c@d", "e@f"})});
    server.hears();
    server.peer.receive("250 ok\r\n550 no\r\n503 no recipients\r\n");
    CHECK(server.hears() == "RSET\r\n");
    server.peer.receive("250 ok\r\n");
    CHECK(server.hears() == "MAIL FROM:<a@b>\r\nRCPT TO:<e@f>\r\nDATA\r\n");
}

TEST_CASE("no more messages go over a connection than its server takes") {
    Server server("250-LIMITS MAILMAX=1 RCPTMAX=1\r\n", {job_for({"c@d", "e@f"})});
    CHECK(server.peer.session().offer().mails_max == 1);
    server.hears();
    server.peer.receive(accepted_one);
    server.peer.receive("250 taken\r\n");
    CHECK(server.hears() == "(body).\r\n");
    CHECK(server.result(0).kind == OutcomeKind::delivered);
    CHECK(server.result(1).kind == OutcomeKind::deferred);
    CHECK_FALSE(server.result(1).lost_after_dot);
    CHECK(server.result(1).reply.enhanced == EnhancedCode{4, 5, 3});
    CHECK_FALSE(server.peer.session().may_deliver());
}

TEST_CASE("a reply lost in the second round leaves the first as it was") {
    Server server("250-LIMITS RCPTMAX=1\r\n", {job_for({"c@d", "e@f"})});
    server.peer.receive(accepted_one);
    server.peer.receive("250 taken\r\n");
    server.peer.receive(accepted_one);
    server.peer.end(ClientEnd::peer_closed);
    CHECK(server.result(0).kind == OutcomeKind::delivered);
    CHECK(server.result(1).lost_after_dot);
}

TEST_CASE("limits that make no sense are none") {
    CHECK(parse_offer("mx\nLIMITS RCPTMAX=0 MAILMAX=x RCPTDOMAINMAX=1000000").recipients_max == 0);
    const auto offer = parse_offer("mx\nLIMITS MAILMAX=x RCPTDOMAINMAX=1000000 FOO=1 RCPTMAX=7");
    CHECK(offer.mails_max == 0);
    CHECK(offer.recipient_domains_max == 0);
    CHECK(offer.recipients_max == 7);
}
