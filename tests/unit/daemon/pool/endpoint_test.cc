#include "daemon/pool/endpoint.h"

#include <doctest/doctest.h>

using namespace posthorse::pool;

TEST_CASE("an endpoint has one text") {
    CHECK(endpoint_text("192.0.2.1", 9626) == "192.0.2.1:9626");
    CHECK(endpoint_text("2001:db8::1", 9626) == "[2001:db8::1]:9626");
    CHECK(endpoint_text("2001:DB8:0:0::1", 1) == "[2001:db8::1]:1");
    CHECK(endpoint_text("mail.internal", 65535) == "mail.internal:65535");
}
