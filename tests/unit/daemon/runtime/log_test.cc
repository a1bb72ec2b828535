#include "daemon/runtime/log.h"

#include <doctest/doctest.h>

using namespace posthorse::runtime::log;

TEST_CASE("a rate limit lets one line through and counts the rest") {
    RateLimit limit(1000);
    std::uint64_t suppressed = 99;
    CHECK(limit.allow(0, suppressed));
    CHECK(suppressed == 0);
    CHECK_FALSE(limit.allow(1, suppressed));
    CHECK_FALSE(limit.allow(999, suppressed));
    CHECK(limit.allow(1000, suppressed));
    CHECK(suppressed == 2);
}

TEST_CASE("a stranger's octets neither end a line nor open a field") {
    CHECK(format("refused", {{"client", "192.0.2.1"}, {"why", "a\r\nb c=\"d\"\x1b[31m"}}) ==
          "refused client=192.0.2.1 why=\"a b c=\\\"d\\\"?[31m\"");
    CHECK(format("x", {{"empty", ""}, {"n", 5}}) == "x empty=\"\" n=5");
}
