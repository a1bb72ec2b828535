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
