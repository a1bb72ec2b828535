#include "proto/mail/header.h"

#include <doctest/doctest.h>

#include <string>

#include "proto/mail/address_list.h"
#include "proto/mail/date.h"
#include "proto/mail/header_fix.h"
#include "proto/mail/trace_header.h"

using namespace posthorse;
using namespace posthorse::mail;

namespace {

// 2026-11-22 02:41:45.678 UTC
constexpr WallTime sunday{std::chrono::milliseconds{1'795'315'305'678}};

std::string fixed(std::string_view header, std::string_view sender = "a@example.org") {
    return fix_header(
        parse_header(header),
        {.sender = sender, .host_name = "mx.example.org", .unique = "u1", .now = sunday});
}

const std::string complete =
    "From: a@example.org\r\nDate: Sun, 22 Nov 2026 02:00:00 +0000\r\nMessage-ID: <1@a>\r\n";

}  // namespace

TEST_CASE("fields, folds and the empty line") {
    const std::string text = "Subject: one\r\n two\r\n\tthree\r\nX:\r\nto : b\r\n\r\nbody: no\r\n";
    const auto header = parse_header(text);
    REQUIRE(header.fields.size() == 3);
    CHECK(header.fields[0].name == "Subject");
    CHECK(header.fields[0].value == " one\r\n two\r\n\tthree");
    CHECK(header.fields[0].raw == "Subject: one\r\n two\r\n\tthree\r\n");
    CHECK(header.fields[1].value.empty());
    CHECK(header.fields[2].name == "to");
    CHECK(header.end == HeaderEnd::empty_line);
    CHECK(text.substr(header.length) == "\r\nbody: no\r\n");
    CHECK(header.find("SUBJECT") == &header.fields[0]);
    CHECK(header.find("Cc") == nullptr);
    CHECK(unfold(header.fields[0].value) == "one two\tthree");
}

TEST_CASE("where a header section ends (attacks: S27)") {
    CHECK(parse_header("").end == HeaderEnd::input);
    CHECK(parse_header("\r\n").end == HeaderEnd::empty_line);
    CHECK(parse_header("\r\n").length == 0);
    CHECK(parse_header("A: b").fields.size() == 1);
    CHECK(parse_header("A: b\r\n").end == HeaderEnd::input);
    for (const std::string body : {"no colon\r\n", " begins folded\r\n", ": no name\r\n",
                                   "two words: x\r\n", "\xc3\xa4: x\r\n"}) {
        CAPTURE(body);
        const auto header = parse_header("A: b\r\n" + (body.front() == ' ' ? "\r\n" + body : body));
        CHECK(header.fields.size() == 1);
        CHECK(header.length == 6);
        CHECK(parse_header(body).end == HeaderEnd::body_line);
    }
    // A line of white space only is a fold, not the end.
    CHECK(parse_header("A: b\r\n \r\nC: d\r\n\r\n").fields.size() == 2);
}

TEST_CASE("limits stop the parser at a field's edge") {
    const std::string text = "A: 1\r\nB: 2\r\nC: 3\r\n\r\n";
    const auto few = parse_header(text, {.fields_max = 2});
    CHECK(few.end == HeaderEnd::limit);
    CHECK(few.fields.size() == 2);
    CHECK(few.length == 12);
    const auto small = parse_header(text, {.bytes_max = 13});
    CHECK(small.end == HeaderEnd::limit);
    CHECK(small.fields.size() == 2);
    CHECK(parse_header(text, {.bytes_max = 18, .fields_max = 3}).end == HeaderEnd::empty_line);
}

TEST_CASE("the fields put back together are the bytes that came in") {
    const std::string text = "A: 1\r\nB:\r\n  folded\r\nno-space:x\r\nC : obsolete\r\n";
    std::string again;
    for (const auto& field : parse_header(text).fields) again += field.raw;
    CHECK(again == text);
}

TEST_CASE("the body is found piece by piece") {
    const std::string text = "A: 1\r\n\r\nbody\r\n\r\n";
    for (std::size_t looked = 0; looked <= 8; ++looked) {
        const auto seen = std::string_view(text).substr(0, looked);
        CHECK(find_body(seen) == (looked < 8 ? std::string_view::npos : 8));
        CHECK(find_body(text, looked < 8 ? looked : 0) == 8);
    }
    CHECK(find_body("\r\nbody") == 2);
    CHECK(find_body("") == std::string_view::npos);
}

TEST_CASE("Received fields are counted, Message-ID is made safe") {
    const auto header = parse_header(
        "Received: a\r\nreceived: b\r\nX-Received: c\r\nMessage-ID:\r\n <1\x1b@a>\r\n");
    CHECK(count_received(header) == 2);
    CHECK(message_id(header) == "<1?@a>");
    CHECK(message_id(parse_header("A: b\r\n")).empty());
}

TEST_CASE("a complete header is left byte for byte") {
    CHECK(fixed(complete) == complete);
}

TEST_CASE("what is missing is added (RFC 6409 section 8)") {
    CHECK(fixed("Subject: x\r\n") ==
          "Subject: x\r\nDate: Sun, 22 Nov 2026 02:41:45 +0000\r\n"
          "From: a@example.org\r\nMessage-ID: <u1@mx.example.org>\r\n");
    CHECK(fixed("", "").find("From: MAILER-DAEMON@mx.example.org\r\n") != std::string::npos);
    // Empty is missing.
    CHECK(fixed("from:  \r\n\r\n").find("from:") == std::string::npos);
    CHECK(fixed("date:\r\n \r\nFrom: b@c\r\n").find("Date: Sun, 22") != std::string::npos);
}

TEST_CASE("what would tell on blind copies goes, with its folds") {
    CHECK(fixed("Bcc: x@y,\r\n z@y\r\nbcc: q@y\r\nReturn-Path: <a@b>\r\nResent-Bcc: r@s\r\n" +
                complete + "Subject: s\r\n") == complete + "Subject: s\r\n");
}

TEST_CASE("a last line without an end gets one") {
    CHECK(fixed(complete + "Subject: s") == complete + "Subject: s\r\n");
}

TEST_CASE("dates") {
    CHECK(format_date(sunday) == "Sun, 22 Nov 2026 02:41:45 +0000");
    CHECK(format_date(WallTime{}) == "Thu, 1 Jan 1970 00:00:00 +0000");
    CHECK(format_date(WallTime{std::chrono::seconds{951'782'400}}) ==
          "Tue, 29 Feb 2000 00:00:00 +0000");
}

TEST_CASE("addresses are found among names, comments, groups and routes") {
    using List = std::vector<std::string>;
    CHECK(addresses_of("a@b.example") == List{"a@b.example"});
    CHECK(addresses_of(" Alice A. <a@b.example> ") == List{"a@b.example"});
    CHECK(addresses_of("\"A, <x@y>\" <a@b.example>, c@d.example") ==
          List{"a@b.example", "c@d.example"});
    CHECK(addresses_of("a@b.example (me, (nested\\) x@y) really)") == List{"a@b.example"});
    CHECK(addresses_of("friends: a@b.example, C <c@d.example>; e@f.example") ==
          List{"a@b.example", "c@d.example", "e@f.example"});
    CHECK(addresses_of("<@one.example,@two.example:a@b.example>") == List{"a@b.example"});
    CHECK(addresses_of("\"quoted local\"@b.example") == List{"\"quoted local\"@b.example"});
    CHECK(addresses_of("a @ b . example") == List{"a@b.example"});
    CHECK(addresses_of("Alice\r\n <a@b.example>") == List{"a@b.example"});
    CHECK(addresses_of("\"a\\\r\n\"b\"@c.example") == List{"\"a\\\"b\"@c.example"});
    for (const auto* none :
         {"", "undisclosed-recipients:;", "nobody", "(", "\"", "<", ",,;:", "\"\\", "(\\"}) {
        CAPTURE(none);
        CHECK(addresses_of(none).empty());
    }
}

TEST_CASE("Received says who, how and when (RFC 5321 section 4.4)") {
    TraceFacts facts{.origin = {.client_address = "192.0.2.7",
                                .helo = "client.example.net",
                                .protocol = "ESMTPSA",
                                .tls = "TLSv1.3 TLS_AES_256_GCM_SHA384"},
                     .host_name = "mx.example.org",
                     .queue_id = "01ABC",
                     .recipient = "b@example.net",
                     .at = sunday};
    CHECK(received_field(facts).text ==
          "Received: from client.example.net ([192.0.2.7])\r\n\tby mx.example.org (Posthorse)\r\n"
          "\twith ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\tid 01ABC\r\n\tfor "
          "<b@example.net>;\r\n"
          "\tSun, 22 Nov 2026 02:41:45 +0000\r\n");
    const auto field = received_field(facts);
    CHECK(field.text.substr(field.queue_id_at).starts_with("01ABC\r\n"));
    facts.priority = -3;  // RFC 6710 section 7
    CHECK(received_field(facts).text.find("for <b@example.net>\r\n\tpriority -3;\r\n") !=
          std::string::npos);
    facts.priority = 0;
    facts.recipient.clear();
    facts.origin.tls.clear();
    facts.origin.client_address = "2001:db8::7";
    facts.origin.helo.clear();
    CHECK(received_field(facts).text ==
          "Received: from [IPv6:2001:db8::7] ([IPv6:2001:db8::7])\r\n\tby mx.example.org "
          "(Posthorse)\r\n"
          "\twith ESMTPSA\r\n\tid 01ABC;\r\n\tSun, 22 Nov 2026 02:41:45 +0000\r\n");
}

TEST_CASE("nothing that a client says forges a Received field (attacks: S31)") {
    const auto field = received_field({.origin = {.client_address = "192.0.2.7",
                                                  .helo = "x) by evil (\r\nBcc: y;",
                                                  .protocol = "ESMTP"},
                                       .host_name = "mx.example.org",
                                       .queue_id = "1",
                                       .recipient = "\"a\r\nX: y\"@b",
                                       .at = sunday})
                           .text;
    const auto header = parse_header(field);
    REQUIRE(header.fields.size() == 1);
    CHECK(header.length == field.size());
    CHECK(field.starts_with("Received: from x??by?evil???Bcc:?y? ([192.0.2.7])\r\n"));
}

TEST_CASE("the protocol's name (RFC 3848)") {
    CHECK(protocol_name({}) == "SMTP");
    CHECK(protocol_name({.esmtp = true}) == "ESMTP");
    CHECK(protocol_name({.esmtp = true, .tls = true}) == "ESMTPS");
    CHECK(protocol_name({.esmtp = true, .authenticated = true}) == "ESMTPA");
    CHECK(protocol_name({.esmtp = true, .tls = true, .authenticated = true}) == "ESMTPSA");
}

TEST_CASE("addresses are replaced where they stand, and nothing else is touched") {
    const auto shout = [](const std::string& address) { return '!' + address; };
    struct Row {
        const char* value;
        const char* changed;
    };
    const Row rows[] = {
        {"", ""},
        {" ann@example.org", " !ann@example.org"},
        {"Ann <ann@example.org>", "Ann <!ann@example.org>"},
        {"\"a@b, c\" (d@e) <ann@example.org>,\r\n\tbob@example.org",
         "\"a@b, c\" (d@e) "
         "<!ann@example.org>,\r\n\t!bob@example.org"},
        {"friends: ann@example.org, Bob <bob@example.org>;",
         "friends: !ann@example.org, Bob <!bob@example.org>;"},
        {"<@relay.example,@b.example:ann@example.org>",
         "<@relay.example,@b.example:!ann@example.org>"},
        {"\"quoted local\"@example.org", "!\"quoted local\"@example.org"},
        {"nobody", "nobody"},
        {"<>", "<>"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.value);
        CHECK(with_addresses(row.value, shout) == row.changed);
        CHECK(with_addresses(row.value, [](const std::string& one) { return one; }) == row.value);
    }
}
