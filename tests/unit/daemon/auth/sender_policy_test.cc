#include "daemon/auth/sender_policy.h"

#include <doctest/doctest.h>

using namespace posthorse::auth;

TEST_CASE("a login sends as itself, at the host when it has no domain") {
    const SenderPolicy policy("Mail.Example.org", {"Master"});
    CHECK(policy.allows("ann@example.org", "ann@example.org"));
    CHECK(policy.allows("Ann@Example.org", "ann@example.ORG"));
    CHECK(policy.allows("ann", "ann@mail.example.org"));
    CHECK_FALSE(policy.allows("ann", "ann@example.org"));
    CHECK_FALSE(policy.allows("ann@example.org", "bob@example.org"));
    CHECK_FALSE(policy.allows("ann@example.org", "ann@example.org.evil.example"));
    CHECK_FALSE(policy.allows("ann@example.org", "xann@example.org"));
    CHECK_FALSE(policy.allows("", "ann@example.org"));
}

TEST_CASE("exempt logins send as anyone, and everybody as nobody") {
    const SenderPolicy policy("mail.example.org", {"Master"});
    CHECK(policy.allows("master", "anyone@example.net"));
    CHECK(policy.allows("MASTER", "anyone@example.net"));
    CHECK_FALSE(policy.allows("master2", "anyone@example.net"));
    CHECK(policy.allows("ann", ""));
}

TEST_CASE("the map of senders gives a login further addresses and domains (S17)") {
    auto map = parse_allowed_senders(
        "# who sends as whom\n\n"
        "Ann@example.org: sales@example.org , @Shop.example.org\r\n"
        "robot:news@example.net\nrobot: @example.com\nbob:\n",
        "senders");
    CHECK(map.problems.empty());
    const SenderPolicy policy("mail.example.org", {}, std::move(map));
    CHECK(policy.allows("ann@example.org", "ann@example.org"));
    CHECK(policy.allows("ann@example.org", "Sales@Example.org"));
    CHECK(policy.allows("ANN@example.org", "anybody@shop.example.org"));
    CHECK_FALSE(policy.allows("ann@example.org", "a@sub.shop.example.org"));
    CHECK_FALSE(policy.allows("ann@example.org", "\"x@shop.example.org\"@example.net"));
    CHECK_FALSE(policy.allows("ann@example.org", "bob@example.org"));
    CHECK(policy.allows("robot", "news@example.net"));
    CHECK(policy.allows("robot", "x@example.com"));
    CHECK(policy.allows("robot", "robot@mail.example.org"));
    CHECK_FALSE(policy.allows("bob", "news@example.net"));
}

TEST_CASE("a row of the map that says nothing is named and skipped") {
    const auto map = parse_allowed_senders("ann\n: a@b\nbob: a@b, nonsense, c@d\n", "senders");
    REQUIRE(map.problems.size() == 3);
    CHECK(map.problems[2].to_string().starts_with("senders:3: 'nonsense' "));
    CHECK(map.senders.at("bob").size() == 1);
    const auto none = load_allowed_senders("/nonexistent/senders");
    REQUIRE(none.problems.size() == 1);
    CHECK(none.problems[0].fatal);
    CHECK(load_allowed_senders("").problems.empty());
}
