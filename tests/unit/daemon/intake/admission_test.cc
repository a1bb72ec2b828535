#include "daemon/intake/admission.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::intake;

namespace {

config::Config settings() {
    config::Config config;
    config.host_name = "mx.example.org";
    config.intake.relay_domains = {"example.org", ".hosted.example.com"};
    return config;
}

const Client stranger{config::ListenerKind::mx, false, ""};
const Client user{config::ListenerKind::submission, false, "ann@example.org"};
const Client neighbour{config::ListenerKind::mx, true, ""};

int recipient(const Client& client, const char* address) {
    return admit_recipient(settings(), nullptr, client, address).code;
}

}  // namespace

TEST_CASE(
    "strangers reach the relay domains and the postmaster, nobody else (RFC 5321 section 7.1)") {
    CHECK(recipient(stranger, "bob@example.org") == 250);
    CHECK(recipient(stranger, "bob@EXAMPLE.org") == 250);
    CHECK(recipient(stranger, "bob@a.hosted.example.com") == 250);
    CHECK(recipient(stranger, "bob@b.a.HOSTED.example.com") == 250);
    CHECK(recipient(stranger, "postmaster") == 250);
    CHECK(recipient(stranger, "Postmaster@mx.example.org") == 250);
    for (const auto* address :
         {"bob@example.net", "bob@hosted.example.com", "bob@xhosted.example.com",
          "bob@sub.example.org", "bob@example.org.evil.test", "bob%example.net@example.com",
          "\"bob@example.org\"@example.net", "bob@mx.example.org", "bob@[192.0.2.1]"}) {
        CAPTURE(address);
        CHECK(recipient(stranger, address) == 550);
    }
}

TEST_CASE("users and trusted networks may write to anybody") {
    CHECK(recipient(user, "bob@example.net") == 250);
    CHECK(recipient(neighbour, "bob@example.net") == 250);
    CHECK(is_submission(user));
    CHECK(is_submission(neighbour));
    CHECK_FALSE(is_submission(stranger));
}

TEST_CASE("a login sends as itself (RFC 6409 section 6.1)") {
    const auth::SenderPolicy policy("mx.example.org", {"robot"});
    const auto sender = [&](const Client& client, const char* address) {
        return admit_sender(policy, client, address);
    };
    CHECK(sender(user, "ann@example.org").positive());
    CHECK(sender(user, "").positive());
    CHECK(sender(user, "bob@example.org") ==
          Reply{553, {5, 7, 1}, "this login may not send as that address"});
    CHECK(sender({config::ListenerKind::submission, false, "robot"}, "bob@example.org").positive());
    CHECK(sender(stranger, "anybody@example.net").positive());
}

TEST_CASE("the From field, too, must be the login's when that is wanted (S17)") {
    const auth::SenderPolicy policy("mx.example.org", {"robot"});
    const auto author = [&](const Client& client, std::string_view section) {
        return admit_author(policy, client, mail::parse_header(section)).code;
    };
    CHECK(author(user, "From: Ann <ann@example.org>\r\n") == 250);
    CHECK(author(user, "From: Boss <boss@example.org>\r\n") == 550);
    CHECK(author(user, "From: ann@example.org, boss@example.org\r\n") == 550);
    CHECK(author(user, "From: ann@example.org\r\nfrom: boss@example.org\r\n") == 550);
    CHECK(author(user, "From: \"ann@example.org\" <boss@example.org>\r\n") == 550);
    CHECK(author(user, "From: nobody\r\n") == 550);
    CHECK(author(user, "Subject: none\r\n") == 550);
    CHECK(author({config::ListenerKind::submission, false, "robot"}, "From: x@y\r\n") == 250);
    CHECK(author(neighbour, "From: x@y\r\n") == 250);
}

TEST_CASE("a bare postmaster is this host's (RFC 5321 section 4.5.1)") {
    CHECK(qualified(settings(), "postmaster") == "postmaster@mx.example.org");
    CHECK(qualified(settings(), "a@b") == "a@b");
}

TEST_CASE("the recipient map comes before the relay domains, for strangers alone") {
    std::vector<config::Problem> problems;
    const auto map =
        RecipientMap::parse("To:bob@example.org RELAY\nTo:example.org REJECT\n", "map", problems);
    REQUIRE(problems.empty());
    const auto reply = [&](const Client& client, const char* address) {
        return admit_recipient(settings(), &map, client, address);
    };
    CHECK(reply(stranger, "bob@example.org").positive());
    CHECK(reply(stranger, "eve@example.org") == Reply{550, {5, 1, 1}, "no such recipient here"});
    CHECK(reply(stranger, "eve@a.hosted.example.com").positive());
    CHECK(reply(stranger, "eve@example.net").code == 550);
    CHECK(reply(user, "eve@example.org").positive());
}
