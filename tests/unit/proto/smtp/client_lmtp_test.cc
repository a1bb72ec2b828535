#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "proto/smtp/client_session.h"
#include "tests/support/client_peer.h"

using namespace posthorse;
using namespace posthorse::smtp;
using posthorse::test::ClientPeer;

namespace {

// A server of mailboxes, of which the client has heard what it offers.
struct Server {
    explicit Server(std::vector<Job> jobs, const std::string& keywords = "250-PIPELINING\r\n")
        : peer({.helo = "me", .tls = TlsUse::when_offered, .protocol = Protocol::lmtp},
               std::move(jobs)) {
        peer.receive("220 box\r\n");
        CHECK(peer.take_output() == "LHLO me\r\n");
        peer.receive("250-box\r\n" + keywords + "250 ENHANCEDSTATUSCODES\r\n");
    }
    // The client is asked for nothing more than these replies.
    void says(const std::string& replies) { peer.receive(replies); }
    const RecipientResult& result(std::size_t index, std::size_t job = 0) {
        return peer.results().at(job).at(index);
    }

    ClientPeer peer;
};

Job job_for(std::vector<std::string> recipients) {
    return {.sender = "a@b", .recipients = std::move(recipients)};
}

const std::string all_accepted = "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n";

}  // namespace

TEST_CASE("LMTP: each recipient that was accepted has its own reply (RFC 2033 section 4.2)") {
    Server server({job_for({"c@d", "e@f", "g@h", "i@j"})});
    CHECK(server.peer.take_output() ==
          "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nRCPT TO:<g@h>\r\n"
          "RCPT TO:<i@j>\r\nDATA\r\n");
    server.says("250 ok\r\n250 ok\r\n550 5.1.1 nobody\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    CHECK(server.peer.take_output() == "(body).\r\n");
    server.says("250 2.0.0 saved\r\n");
    CHECK(server.peer.jobs_done() == 0);
    server.says("452 4.2.2 full\r\n");
    CHECK(server.peer.jobs_done() == 0);
    server.says("552 5.2.2 fuller\r\n");
    REQUIRE(server.peer.jobs_done() == 1);
    CHECK(server.peer.usable_after_last());
    CHECK(server.result(0).kind == OutcomeKind::delivered);
    CHECK(server.result(0).final_delivery);
    CHECK(server.result(0).reply.text == "saved");
    CHECK(server.result(1).reply.enhanced == EnhancedCode{5, 1, 1});
    CHECK(server.result(2).kind == OutcomeKind::deferred);
    CHECK(server.result(2).reply.text == "full");
    CHECK_FALSE(server.result(2).final_delivery);
    CHECK(server.result(3).kind == OutcomeKind::failed);
    CHECK(server.result(3).reply.text == "fuller");
}

TEST_CASE("LMTP: all replies may come at once, and the next message follows") {
    Server server({job_for({"c@d", "e@f"}), job_for({"g@h"})});
    server.peer.take_output();
    server.says("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 one\r\n250 two\r\n");
    // Replies that came before the dot are nobody's.
    CHECK(server.peer.closed());

    Server calm({job_for({"c@d", "e@f"}), job_for({"g@h"})});
    calm.says("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    calm.peer.take_output();
    calm.says("250 one\r\n250 two\r\n");
    CHECK(calm.peer.take_output() == "MAIL FROM:<a@b>\r\nRCPT TO:<g@h>\r\nDATA\r\n");
    CHECK(calm.result(1).reply.text == "two");
}

TEST_CASE("LMTP: when the connection breaks, only those without a reply are in doubt") {
    Server server({job_for({"c@d", "e@f", "g@h"})});
    server.says(all_accepted);
    server.says("250 saved\r\n");
    SUBCASE("in the middle") {
        server.peer.end(ClientEnd::peer_closed);
        CHECK(server.result(1).lost_after_dot);
        CHECK(server.result(1).reply.code == 0);
        CHECK(server.result(2).lost_after_dot);
    }
    SUBCASE("by a reply that makes no sense") {
        server.says("354 go on\r\n");
        CHECK(server.result(1).lost_after_dot);
        CHECK(server.result(2).lost_after_dot);
    }
    SUBCASE("by 421, which is the reply for one of them") {
        server.says("421 4.3.2 shutting down\r\n");
        CHECK(server.result(1).kind == OutcomeKind::deferred);
        CHECK(server.result(1).reply.code == 421);
        CHECK_FALSE(server.result(1).lost_after_dot);
        CHECK(server.result(2).reply.code == 0);
        CHECK(server.result(2).lost_after_dot);
    }
    CHECK(server.peer.closed());
    CHECK(server.result(0).kind == OutcomeKind::delivered);
    CHECK_FALSE(server.result(0).lost_after_dot);
    CHECK(server.result(2).kind == OutcomeKind::deferred);
}

TEST_CASE("LMTP: 421 for the last recipient leaves nobody in doubt") {
    Server server({job_for({"c@d"})});
    server.says("250 ok\r\n250 ok\r\n354 go\r\n421 4.3.2 no room\r\n");
    CHECK(server.peer.closed());
    CHECK(server.result(0).reply.code == 421);
    CHECK_FALSE(server.result(0).lost_after_dot);
}

TEST_CASE("LMTP: the message is not sent when nobody takes it, whatever the server says") {
    Server server({job_for({"c@d"})});
    server.peer.take_output();
    SUBCASE("503, as RFC 2033 wants it") {
        server.says("250 ok\r\n550 no\r\n503 5.5.1 nobody\r\n");
        CHECK(server.peer.take_output() == "RSET\r\n");
    }
    SUBCASE("354") {
        server.says("250 ok\r\n550 no\r\n354 go\r\n");
        CHECK(server.peer.closed());
        CHECK(server.peer.take_output().empty());
    }
    CHECK(server.result(0).kind == OutcomeKind::failed);
}

TEST_CASE("LMTP has no older form: who does not know LHLO is no server of mailboxes") {
    ClientPeer peer({.helo = "me", .protocol = Protocol::lmtp}, {job_for({"c@d"})});
    peer.receive("220 mx\r\n");
    peer.take_output();
    peer.receive("500 5.5.1 what\r\n");
    CHECK(peer.closed());
    CHECK(peer.take_output() == "QUIT\r\n");
    CHECK(peer.session().refusal().code == 500);
}

TEST_CASE("LMTP: TLS and the limits that a server states are as in SMTP") {
    ClientPeer peer({.helo = "me", .tls = TlsUse::when_offered, .protocol = Protocol::lmtp},
                    {job_for({"c@d", "e@f", "g@h"})});
    peer.receive("220 box\r\n250-box\r\n250 STARTTLS\r\n220 go\r\n");
    CHECK(peer.take_output() == "LHLO me\r\nSTARTTLS\r\n(tls)LHLO me\r\n");
    peer.receive("250-box\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2\r\n");
    CHECK(peer.take_output() == "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n");
    peer.receive("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    peer.take_output();
    peer.receive("250 one\r\n250 two\r\n");
    CHECK(peer.take_output() == "MAIL FROM:<a@b>\r\nRCPT TO:<g@h>\r\nDATA\r\n");
    peer.receive("250 ok\r\n250 ok\r\n354 go\r\n");
    peer.receive("250 three\r\n");
    REQUIRE(peer.jobs_done() == 1);
    CHECK(peer.results().at(0).at(2).reply.text == "three");
}

TEST_CASE("LMTP: a server with DSN takes the notices over, another one does not") {
    auto job = job_for({"c@d"});
    job.recipient_wishes = {{.notify = {.said = true, .success = true}, .original = {}}};
    Server with({job}, "250-DSN\r\n250-PIPELINING\r\n");
    CHECK(with.peer.take_output().find(" NOTIFY=SUCCESS\r\n") != std::string::npos);
    with.says("250 ok\r\n250 ok\r\n354 go\r\n");
    with.says("250 saved\r\n");
    CHECK(with.result(0).notices_passed_on);
    Server without({job});
    without.says("250 ok\r\n250 ok\r\n354 go\r\n");
    without.says("250 saved\r\n");
    CHECK_FALSE(without.result(0).notices_passed_on);
    CHECK(without.result(0).final_delivery);
}

TEST_CASE("LMTP: what must not be late is delivered, and not relayed (RFC 2852)") {
    auto job = job_for({"c@d"});
    job.wishes.deliver_by = {.otherwise = DeliverBy::Otherwise::give_back,
                             .trace = true,
                             .left = std::chrono::seconds{7}};
    Server without({job});
    CHECK(without.peer.take_output().starts_with("MAIL FROM:<a@b>\r\n"));
    without.says("250 ok\r\n250 ok\r\n354 go\r\n");
    without.says("250 saved\r\n");
    CHECK(without.result(0).final_delivery);
    CHECK_FALSE(without.result(0).tell_relay);
    job.wishes.deliver_by.left = std::chrono::seconds{0};
    Server late({job});
    CHECK(late.result(0).reply.enhanced == EnhancedCode{5, 4, 7});
}
