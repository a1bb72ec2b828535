#include "daemon/config/join_entry.h"

#include <doctest/doctest.h>

using namespace posthorse::config;
using Kind = JoinEntry::Kind;

namespace {

JoinEntry parsed(std::string_view text) {
    const auto entry = parse_join_entry(text);
    REQUIRE_MESSAGE(entry.has_value(), text);
    return *entry;
}

}  // namespace

TEST_CASE("the forms of an entry are told apart") {
    CHECK(parsed("192.0.2.1") == JoinEntry{Kind::address, "192.0.2.1", 0});
    CHECK(parsed("192.0.2.1:9000") == JoinEntry{Kind::address, "192.0.2.1", 9000});
    CHECK(parsed("2001:db8::1") == JoinEntry{Kind::address, "2001:db8::1", 0});
    CHECK(parsed("[2001:db8::1]") == JoinEntry{Kind::address, "2001:db8::1", 0});
    CHECK(parsed("[2001:db8::1]:9000") == JoinEntry{Kind::address, "2001:db8::1", 9000});
    CHECK(parsed("::1") == JoinEntry{Kind::address, "::1", 0});
    CHECK(parsed("posthorse") == JoinEntry{Kind::host, "posthorse", 0});
    CHECK(parsed("mail.internal:65535") == JoinEntry{Kind::host, "mail.internal", 65535});
    CHECK(parsed("a_b.mail.internal") == JoinEntry{Kind::host, "a_b.mail.internal", 0});
    CHECK(parsed("_posthorse._tcp.mail.internal") ==
          JoinEntry{Kind::service, "_posthorse._tcp.mail.internal", 0});
}

TEST_CASE("a final dot says that the name is whole, which it is anyway") {
    CHECK(parsed("mail.internal.") == JoinEntry{Kind::host, "mail.internal", 0});
    CHECK(parsed("_p._tcp.mail.internal.") == JoinEntry{Kind::service, "_p._tcp.mail.internal", 0});
}

TEST_CASE("what is none of them is refused") {
    for (const auto* text : {"",
                             ".",
                             ":9626",
                             "mail.internal:",
                             "mail.internal:0",
                             "mail.internal:65536",
                             "mail.internal:x",
                             "mail.internal:+1",
                             "mail..internal",
                             "exa mple",
                             "http://mail.internal",
                             "192.0.2.256",
                             "192.0.2",
                             "[192.0.2.1]:9626",
                             "[mail.internal]:9626",
                             "[2001:db8::1",
                             "[2001:db8::1]9626",
                             "[2001:db8::1]:",
                             "[]",
                             "2001:db8:::1",
                             "_posthorse",
                             "_posthorse._tcp",
                             "_._tcp.mail.internal",
                             "_posthorse.tcp.mail.internal",
                             "_posthorse._tcp.mail.internal:9626"}) {
        CHECK_MESSAGE(!parse_join_entry(text), text);
    }
}
