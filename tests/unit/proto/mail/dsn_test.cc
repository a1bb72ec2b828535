#include "proto/mail/dsn.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "proto/mail/header.h"

using namespace posthorse;
using namespace posthorse::mail;

namespace {

constexpr WallTime at(int hour) {
    return WallTime{std::chrono::milliseconds{1'795'305'600'000} + std::chrono::hours{hour}};
}

DsnFacts failed_facts() {
    DsnFacts facts{.kind = DsnKind::failed,
                   .host_name = "mx.example.org",
                   .sender = "alice@example.org",
                   .queue_id = "01ABC",
                   .unique = "n1",
                   .now = at(2),
                   .arrived = at(0),
                   .retry_until = at(96),
                   .original_header = "From: alice@example.org\r\nSubject: hello\r\n  again\r\n"};
    facts.recipients.push_back({.address = "bob@example.net",
                                .last = {.reply = {550, {5, 1, 1}, "no such user"},
                                         .remote = "mx1.example.net[192.0.2.1]:25",
                                         .at = at(1)}});
    return facts;
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

std::string status_for(DsnKind kind, const Reply& reply) {
    auto facts = failed_facts();
    facts.kind = kind;
    facts.recipients[0].last.reply = reply;
    const auto text = make_dsn(facts);
    const auto from = text.find("Status: ") + 8;
    return text.substr(from, text.find("\r\n", from) - from);
}

void check_is_clean(const std::string& text) {
    CHECK(text.ends_with("\r\n"));
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto octet = static_cast<unsigned char>(text[i]);
        if (octet == '\r') REQUIRE(text[i + 1] == '\n');
        if (octet == '\n') REQUIRE(text[i - 1] == '\r');
        REQUIRE((octet == '\r' || octet == '\n' || octet == '\t' || (octet >= 32 && octet < 127)));
    }
    for (std::size_t from = 0; from < text.size();) {
        const auto end = text.find("\r\n", from);
        REQUIRE(end - from <= 998);
        from = end + 2;
    }
}

}  // namespace

TEST_CASE("a failure notice, whole") {
    CHECK(make_dsn(failed_facts()) ==
          "From: Mail Delivery System <MAILER-DAEMON@mx.example.org>\r\n"
          "To: <alice@example.org>\r\n"
          "Subject: Undelivered mail returned to sender\r\n"
          "Date: Sun, 22 Nov 2026 02:00:00 +0000\r\n"
          "Message-ID: <n1@mx.example.org>\r\n"
          "Auto-Submitted: auto-replied\r\n"
          "MIME-Version: 1.0\r\n"
          "Content-Type: multipart/report; report-type=delivery-status;\r\n"
          "\tboundary=\"n1=_report\"\r\n"
          "\r\n"
          "--n1=_report\r\n"
          "Content-Type: text/plain; charset=us-ascii\r\n"
          "\r\n"
          "This is the mail system at mx.example.org.\r\n"
          "\r\n"
          "Your message could not be delivered to the recipients below. It is not tried again.\r\n"
          "The reason is what their mail server, or this one, said.\r\n"
          "\r\n"
          "<bob@example.net>\r\n"
          "    550 5.1.1 no such user\r\n"
          "    asked: mx1.example.net[192.0.2.1]:25\r\n"
          "\r\n"
          "--n1=_report\r\n"
          "Content-Type: message/delivery-status\r\n"
          "\r\n"
          "Reporting-MTA: dns; mx.example.org\r\n"
          "X-Posthorse-Queue-ID: 01ABC\r\n"
          "Arrival-Date: Sun, 22 Nov 2026 00:00:00 +0000\r\n"
          "\r\n"
          "Final-Recipient: rfc822; bob@example.net\r\n"
          "Action: failed\r\n"
          "Status: 5.1.1\r\n"
          "Remote-MTA: dns; mx1.example.net\r\n"
          "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
          "Last-Attempt-Date: Sun, 22 Nov 2026 01:00:00 +0000\r\n"
          "\r\n"
          "--n1=_report\r\n"
          "Content-Type: text/rfc822-headers; charset=us-ascii\r\n"
          "\r\n"
          "From: alice@example.org\r\n"
          "Subject: hello\r\n"
          "  again\r\n"
          "\r\n"
          "--n1=_report--\r\n");
}

TEST_CASE("a delay notice says until when") {
    auto facts = failed_facts();
    facts.kind = DsnKind::delayed;
    facts.recipients[0].last.reply = {451, {4, 2, 0}, "greylisted"};
    const auto text = make_dsn(facts);
    CHECK(contains(text, "Subject: Delayed mail: still being tried\r\n"));
    CHECK(contains(text, "Action: delayed\r\nStatus: 4.2.0\r\n"));
    CHECK(contains(text, "Will-Retry-Until: Thu, 26 Nov 2026 00:00:00 +0000\r\n"));
    CHECK(contains(text, "it is tried until Thu, 26 Nov 2026 00:00:00 +0000."));
    check_is_clean(text);
}

TEST_CASE("the status fits the action") {
    CHECK(status_for(DsnKind::failed, {550, {}, "no"}) == "5.0.0");
    CHECK(status_for(DsnKind::failed, {0, {5, 3, 4}, "too large"}) == "5.3.4");
    CHECK(status_for(DsnKind::failed, {451, {4, 2, 0}, "expired meanwhile"}) == "5.4.7");
    CHECK(status_for(DsnKind::failed, {}) == "5.4.7");
    CHECK(status_for(DsnKind::delayed, {451, {}, "later"}) == "4.0.0");
    CHECK(status_for(DsnKind::delayed, {0, {4, 4, 1}, "no connection"}) == "4.4.1");
    CHECK(status_for(DsnKind::delayed, {}) == "4.4.7");
}

TEST_CASE("what no server said is not called an SMTP diagnostic") {
    auto facts = failed_facts();
    facts.recipients[0].last = {.reply = {0, {4, 4, 1}, "connection refused"}};
    facts.recipients[0].original_recipient = "rfc822;robert@example.net";
    const auto text = make_dsn(facts);
    CHECK(contains(text, "Diagnostic-Code: x-posthorse; 4.4.1 connection refused\r\n"));
    CHECK(contains(text, "Original-Recipient: rfc822;robert@example.net\r\nFinal-Recipient: "));
    CHECK_FALSE(contains(text, "Remote-MTA"));
    CHECK_FALSE(contains(text, "Last-Attempt-Date"));
    facts.recipients[0].last.reply = {};
    CHECK(contains(make_dsn(facts), "Diagnostic-Code: x-posthorse; no attempt was made\r\n"));
    facts.recipients[0].last.remote = "[192.0.2.9]:2525";
    CHECK(contains(make_dsn(facts), "Remote-MTA: dns; [192.0.2.9]\r\n"));
}

TEST_CASE("all recipients are in one notice (attacks: C9)") {
    auto facts = failed_facts();
    facts.recipients.assign(1000, facts.recipients[0]);
    const auto text = make_dsn(facts);
    std::size_t count = 0;
    for (std::size_t found = 0; (found = text.find("Final-Recipient:", found)) != std::string::npos;
         ++found)
        ++count;
    CHECK(count == 1000);
    check_is_clean(text);
}

TEST_CASE("nothing hostile comes through (attacks: C8, S30)") {
    using namespace std::string_literals;
    auto facts = failed_facts();
    facts.recipients[0].address = "b\r\nBcc: evil@example.com"s;
    facts.recipients[0].original_recipient = "x\r\n\r\n--n1=_report\r\nevil";
    facts.recipients[0].last.reply.text =
        "no\n--n1=_report--\nX-Evil: \xff\0\x1b"s + std::string(2000, 'x');
    facts.recipients[0].last.remote = "mx\r\nX-Evil: 1";
    facts.sender = "a\r\nBcc: evil";
    const std::string header =
        "Subject: \xc3\xa4\r\n--n1=_report: no boundary\r\nX-Long: " + std::string(5000, 'y') +
        "\r\n";
    facts.original_header = header;
    const auto text = make_dsn(facts);
    check_is_clean(text);
    std::size_t boundaries = 0;
    for (std::size_t found = 0; (found = text.find("\r\n--n1=_report", found)) != std::string::npos;
         ++found)
        ++boundaries;
    CHECK(boundaries == 4);
    CHECK_FALSE(contains(text, "\r\nX-Evil"));
    CHECK_FALSE(contains(text, "\r\nBcc"));
    CHECK(parse_header(text).end == HeaderEnd::empty_line);
}

TEST_CASE("the quoted header is cut to its bound") {
    auto facts = failed_facts();
    std::string header;
    for (int i = 0; i < 10000; ++i) header += "X-Field: some value\r\n";
    facts.original_header = header;
    facts.header_bytes_max = 1000;
    CHECK(make_dsn(facts).size() < 3000);
    facts.original_header = "no header at all";
    CHECK(contains(make_dsn(facts),
                   "text/rfc822-headers; charset=us-ascii\r\n\r\n\r\n--n1=_report--\r\n"));
}

TEST_CASE("a notice of relay says that no further one will come (RFC 3461 section 6.3)") {
    auto facts = failed_facts();
    facts.kind = DsnKind::relayed;
    facts.recipients[0].last.reply = {250, {2, 6, 0}, "queued"};
    facts.envelope_id = "QQ 314+159";
    const auto text = make_dsn(facts);
    CHECK(contains(text, "Subject: Mail handed on: no further notice will come\r\n"));
    CHECK(contains(text, "Original-Envelope-Id: QQ 314+159\r\nReporting-MTA: "));
    CHECK(contains(text, "Action: relayed\r\nStatus: 2.6.0\r\n"));
    CHECK_FALSE(contains(text, "Will-Retry-Until"));
    check_is_clean(text);
    CHECK(status_for(DsnKind::relayed, {250, {}, "ok"}) == "2.0.0");
}

TEST_CASE("a delay past the time of delivery is told as such (RFC 2852 section 4.1.3)") {
    auto facts = failed_facts();
    facts.kind = DsnKind::delayed;
    facts.recipients[0].last.reply = {450, {4, 2, 0}, "later"};
    facts.deliver_by = at(2);
    CHECK(contains(make_dsn(facts), "\r\nStatus: 4.4.7\r\n"));
    CHECK(contains(make_dsn(facts), "Diagnostic-Code: smtp; 450 4.2.0 later\r\n"));
    facts.deliver_by = at(3);
    CHECK(contains(make_dsn(facts), "\r\nStatus: 4.2.0\r\n"));
    check_is_clean(make_dsn(facts));
}

TEST_CASE("a notice of delivery says so (RFC 3461 section 5.2.3)") {
    auto facts = failed_facts();
    facts.kind = DsnKind::delivered;
    facts.recipients[0].last.reply = {250, {2, 0, 0}, "saved"};
    facts.recipients[0].last.remote = "/run/dovecot/lmtp";
    const auto text = make_dsn(facts);
    CHECK(contains(text, "Subject: Mail delivered\r\n"));
    CHECK(contains(text, "Action: delivered\r\nStatus: 2.0.0\r\n"));
    CHECK_FALSE(contains(text, "Remote-MTA"));  // a socket is no name in the DNS
    check_is_clean(text);
}

TEST_CASE("UTF-8 goes into the forms that are made for it (RFC 6533)") {
    auto facts = failed_facts();
    facts.charset = DsnCharset::utf8;
    facts.sender = "b\xC3\xB6@example.org";
    facts.recipients[0].address = "\xE4\xBE\x8B@example.net";
    facts.recipients[0].original_recipient = "utf-8;\xE4\xBE\x8B@example.com";
    facts.original_header =
        "Subject: Gr\xC3\xBC\xC3\x9F"
        "e \xFF\r\n";
    const auto text = make_dsn(facts);
    CHECK(contains(text, "To: <b\xC3\xB6@example.org>\r\n"));
    CHECK(contains(text, "report-type=global-delivery-status;\r\n"));
    CHECK(contains(text, "_report\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"));
    CHECK(contains(text,
                   "Content-Type: message/global-delivery-status\r\n"
                   "Content-Transfer-Encoding: 8bit\r\n\r\n"));
    CHECK(contains(text,
                   "Original-Recipient: utf-8;\xE4\xBE\x8B@example.com\r\n"
                   "Final-Recipient: utf-8; \xE4\xBE\x8B@example.net\r\n"));
    CHECK(contains(text, "Content-Type: message/global-headers\r\n"));
    CHECK(contains(text,
                   "Subject: Gr\xC3\xBC\xC3\x9F"
                   "e ?\r\n"));
    facts.charset = DsnCharset::ascii;
    check_is_clean(make_dsn(facts));
}

TEST_CASE("a part without UTF-8 has the form that older programs know") {
    auto facts = failed_facts();
    facts.charset = DsnCharset::utf8;
    facts.original_header = "Subject: Gr\xC3\xBC\xC3\x9F\r\n";
    const auto header = make_dsn(facts);
    CHECK(contains(header, "report-type=delivery-status;\r\n"));
    CHECK(contains(header, "Content-Type: message/delivery-status\r\n\r\n"));
    CHECK(contains(header, "Content-Type: message/global-headers\r\n"));
    CHECK(contains(header, "Final-Recipient: rfc822; bob@example.net\r\n"));

    facts.recipients[0].address = "\xE4\xBE\x8B@example.net";
    facts.original_header = "Subject: hello\r\n";
    const auto recipient = make_dsn(facts);
    CHECK(contains(recipient, "report-type=global-delivery-status;\r\n"));
    CHECK(contains(recipient, "Content-Type: text/rfc822-headers; charset=us-ascii\r\n"));
    facts.original_message = "Subject: hello\r\n\r\nbody\r\n";
    CHECK(contains(make_dsn(facts), "Content-Type: message/rfc822\r\n"));
}

TEST_CASE("the whole message is returned as it is, unless it could end its part") {
    auto facts = failed_facts();
    const std::string whole = "Subject: hello\r\n\r\n--line\r\n";
    facts.original_message = whole;
    CHECK(contains(make_dsn(facts),
                   "Content-Type: message/rfc822\r\n\r\n" + whole + "\r\n--n1=_report--\r\n"));
    const std::string hostile = "Subject: hello\r\n\r\n--n1=_report--\r\n";
    facts.original_message = hostile;
    CHECK(contains(make_dsn(facts), "text/rfc822-headers"));
    CHECK_FALSE(contains(make_dsn(facts), "message/rfc822"));
}
