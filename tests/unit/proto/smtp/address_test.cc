#include "proto/smtp/address.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace posthorse::smtp;

namespace {

std::string mailbox_of(std::string_view text, PathKind kind = PathKind::forward) {
    const auto path = parse_path(text, kind);
    return path.fault == PathFault::none ? std::string(path.mailbox) : "(refused)";
}

PathFault fault_of(const std::string& text, PathKind kind = PathKind::forward) {
    return parse_path(text, kind).fault;
}

std::string domain_of_length(std::size_t length) {
    std::string domain;
    while (domain.size() < length) domain += domain.size() % 64 == 63 ? '.' : 'd';
    if (domain.back() == '.') domain.back() = 'd';
    return domain;
}

}  // namespace

TEST_CASE("ordinary and odd mailboxes pass as they stand") {
    for (const std::string mailbox :
         {"a@b", "user@example.org", "user+tag@sub.example.org", "o'brien@example.org",
          "!#$%&'*+-/=?^_`{|}~@example.org", "\"quoted local\"@example.org", "\"a@b\"@example.org",
          "\"a>b\"@example.org", "\"\\\"\"@example.org", "\"\"@example.org", "user@[192.0.2.1]",
          "user@[IPv6:2001:db8::1]", "user@under_score.example", "user%else@example.org"}) {
        CAPTURE(mailbox);
        const auto wire = '<' + mailbox + '>';
        CHECK(mailbox_of(wire) == mailbox);
        CHECK(parse_path(wire, PathKind::forward).length == wire.size());
        CHECK(is_mailbox(mailbox, PathKind::forward));
    }
}

TEST_CASE("what follows the path is left to the caller") {
    const auto path = parse_path("<a@b> SIZE=1", PathKind::reverse);
    CHECK(path.mailbox == "a@b");
    CHECK(path.length == 5);
}

TEST_CASE("the null path and the bare postmaster have one place each (attacks: S26)") {
    CHECK(mailbox_of("<>", PathKind::reverse).empty());
    CHECK(parse_path("<>", PathKind::reverse).length == 2);
    CHECK(fault_of("<>") == PathFault::syntax);
    CHECK(mailbox_of("<PostMaster>") == "PostMaster");
    CHECK(fault_of("<postmaster>", PathKind::reverse) == PathFault::syntax);
    CHECK(fault_of("<root>") == PathFault::syntax);
}

TEST_CASE("source routes are accepted and ignored") {
    CHECK(mailbox_of("<@one.example:user@example.org>") == "user@example.org");
    CHECK(mailbox_of("<@one.example,@two.example:user@example.org>") == "user@example.org");
    for (const std::string bad :
         {"<@:a@b>", "<@one.example>", "<@one.example,:a@b>", "<@one.example a@b>",
          "<@one.example,two.example:a@b>", "<@one.example:>"}) {
        CAPTURE(bad);
        CHECK(fault_of(bad) == PathFault::syntax);
    }
}

TEST_CASE("malformed paths are refused") {
    for (const std::string bad : {"",
                                  "a@b",
                                  "<a@b",
                                  " <a@b>",
                                  "<a@>",
                                  "<@b>",
                                  "<a b@c>",
                                  "<a..b@c>",
                                  "<.a@c>",
                                  "<a.@c>",
                                  "<a@b@c>",
                                  "<a@b..c>",
                                  "<a@.b>",
                                  "<a@b.>",
                                  "<a@-b>",
                                  "<a@b->",
                                  "<a@b c>",
                                  "<<a@b>>",
                                  "<a@b\r\n>",
                                  "<\"a@b>",
                                  "<\"a\"b@c>",
                                  "<\"a\\\"@c>",
                                  "<\"a\nb\"@c>",
                                  "<a@[]>",
                                  "<a@[1.2.3]>",
                                  "<a@[1.2.3.4.5]>",
                                  "<a@[1.2.3.256]>",
                                  "<a@[1.2.3.4>",
                                  "<a@[IPv6:]>",
                                  "<a@[IPv6:1:2:3:4:5:6:7]>",
                                  "<a@[IPv6:1:2:3:4:5:6:7:8:9]>",
                                  "<a@[IPv6:1::2::3]>",
                                  "<a@[IPv6::::]>",
                                  "<a@[IPv6:12345::]>",
                                  "<a@[x:y]>"}) {
        CAPTURE(bad);
        CHECK(fault_of(bad) == PathFault::syntax);
    }
}

TEST_CASE("IPv6 literals in all their shapes") {
    for (const auto* good :
         {"[IPv6:::]", "[ipv6:::1]", "[IPv6:1::]", "[IPv6:1:2:3:4:5:6:7:8]",
          "[IPv6:1:2:3:4:5:6:192.0.2.1]", "[IPv6:::ffff:192.0.2.1]", "[IPv6:1:2:3:4:5:6:7::]"}) {
        CAPTURE(good);
        CHECK(is_address_literal(good));
    }
    for (const auto* bad :
         {"[IPv6:1:2:3:4:5:6:7:192.0.2.1]", "[IPv6:192.0.2.1::1]", "[IPv6:1:]",
          "[IPv6::1:2:3:4:5:6:7]", "[IPv6:1:2:3:4:5:6:7:8::]", "[IPv6:g::]", "[2001:db8::1]"}) {
        CAPTURE(bad);
        CHECK_FALSE(is_address_literal(bad));
    }
}

TEST_CASE("lengths are bounded exactly and nothing is cut (attacks: S6)") {
    const std::string local_64(64, 'l');
    CHECK(mailbox_of('<' + local_64 + "@example.org>") == local_64 + "@example.org");
    CHECK(fault_of("<l" + local_64 + "@example.org>") == PathFault::local_part_too_long);

    // A path of 256 octets: '<', "l@", 252 of domain, '>'.
    CHECK(fault_of("<l@" + domain_of_length(252) + '>') == PathFault::none);
    CHECK(fault_of("<l@" + domain_of_length(253) + '>') == PathFault::path_too_long);
    CHECK(fault_of("<l@" + domain_of_length(255) + '>') == PathFault::path_too_long);
    CHECK(fault_of("<l@" + domain_of_length(256) + '>') == PathFault::domain_too_long);
    CHECK(is_mailbox("l@" + domain_of_length(252), PathKind::forward));
    CHECK_FALSE(is_mailbox("l@" + domain_of_length(253), PathKind::forward));
    CHECK(fault_of("<a@" + std::string(63, 'd') + ".example>") == PathFault::none);
    CHECK(fault_of("<a@" + std::string(64, 'd') + ".example>") == PathFault::syntax);
}

TEST_CASE("8-bit mailboxes have a refusal of their own (attacks: S8)") {
    CHECK(fault_of("<\xc3\xa4@example.org>") == PathFault::eight_bit);
    CHECK(fault_of("<a@\xc3\xa4.example>") == PathFault::eight_bit);
    CHECK(fault_of("<\"\xff\"@example.org>") == PathFault::eight_bit);
}

TEST_CASE("a mailbox is the whole text") {
    CHECK(is_mailbox("", PathKind::reverse));
    CHECK_FALSE(is_mailbox("", PathKind::forward));
    CHECK_FALSE(is_mailbox("a@b>", PathKind::forward));
    CHECK_FALSE(is_mailbox("a@b> SIZE=1", PathKind::forward));
    CHECK_FALSE(is_mailbox("a@b\r\nRCPT TO:<c@d>", PathKind::forward));
}

TEST_CASE("the parts of a mailbox") {
    CHECK(domain_of("a@b.example") == "b.example");
    CHECK(domain_of("\"a@b\"@c.example") == "c.example");
    CHECK(domain_of("postmaster").empty());
    CHECK(local_part_of("\"a@b\"@c.example") == "\"a@b\"");
    CHECK(local_part_of("postmaster") == "postmaster");
}

TEST_CASE("mailboxes beyond ASCII pass with SMTPUTF8 only, and as they stand") {
    for (const std::string mailbox :
         {"b\xC3\xB6"
          "b@example.org",
          "bob@ex\xC3\xA4mple.org", "\"b\xC3\xB6 b\"@example.org",
          "\xE4\xBE\x8B@\xE4\xBE\x8B.\xE4\xBE\x8B", "\xF0\x9F\x90\xB4@example.org"}) {
        CAPTURE(mailbox);
        const auto wire = '<' + mailbox + '>';
        CHECK(parse_path(wire, PathKind::forward, Charset::utf8).mailbox == mailbox);
        CHECK(is_mailbox(mailbox, PathKind::reverse, Charset::utf8));
        CHECK(fault_of(wire) == PathFault::eight_bit);
        CHECK_FALSE(is_mailbox(mailbox, PathKind::reverse));
    }
}

TEST_CASE("what is no harmless UTF-8 is no mailbox (attacks: S8)") {
    for (const std::string mailbox :
         {"b\xFF@example.org", "b\xC0\xAF@example.org", "b\xC2\x85@example.org",
          "\"\xC2\x9B\"@example.org", "bob@\xE2\x80\xAE.example", "b\xC3"}) {
        CAPTURE(mailbox);
        const auto path = parse_path('<' + mailbox + '>', PathKind::forward, Charset::utf8);
        CHECK(path.fault == PathFault::syntax);
        CHECK_FALSE(is_mailbox(mailbox, PathKind::forward, Charset::utf8));
    }
}

TEST_CASE("lengths count octets, but for a label that the DNS knows in another form") {
    std::string letters;
    while (letters.size() < 64) letters += "\xC3\xA4";
    const auto utf8_fault = [](const std::string& text) {
        return parse_path(text, PathKind::forward, Charset::utf8).fault;
    };
    CHECK(utf8_fault('<' + letters + "@example.org>") == PathFault::none);
    CHECK(utf8_fault('<' + letters + "x@example.org>") == PathFault::local_part_too_long);
    CHECK(utf8_fault("<x@" + letters + letters + ".example>") == PathFault::none);
    CHECK(utf8_fault("<x@" + std::string(64, 'd') + ".example>") == PathFault::syntax);
}
