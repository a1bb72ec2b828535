#include "daemon/report/notice.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/report/samples.h"

using namespace posthorse;
using namespace posthorse::report;
using mail::DsnKind;

namespace {

constexpr std::string_view head = "Subject: hello\r\n\r\nthe body\r\n";

Decision about(std::vector<std::uint32_t> indices, DsnKind kind = DsnKind::failed) {
    Decision decision;
    for (const auto index : indices) {
        decision.outcomes.push_back(kind == DsnKind::relayed ? delivered(index) : failed(index));
    }
    (kind == DsnKind::relayed ? decision.relayed : decision.bounced) = std::move(indices);
    return decision;
}

std::string text_for(const Envelope& envelope,
                     std::string_view original = head,
                     DsnKind kind = DsnKind::failed) {
    return notice_text(kind, envelope, about({0}, kind), original, {"mx.example.org"}, accepted);
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("what the sender called message and recipient comes back decoded, and harmless") {
    auto envelope = sample_envelope();
    envelope.wishes.envelope_id = "QQ+2B1";
    envelope.recipients[0].wishes.original = "rfc822;rob+2Bx@example.com";
    const auto text = text_for(envelope);
    CHECK(has(text, "Original-Envelope-Id: QQ+1\r\n"));
    CHECK(has(text, "Original-Recipient: rfc822;rob+x@example.com\r\n"));

    // No session lets these in; a record may hold anything (attacks: S30).
    envelope.wishes.envelope_id = "a+0D+0AX-Evil:+20yes";
    envelope.recipients[0].wishes.original = "rfc822;a+0D+0AX-Evil:+20yes";
    CHECK_FALSE(has(text_for(envelope), "\nX-Evil"));
}

TEST_CASE("a notice repeats what release was asked for (RFC 4865 section 5.1.2)") {
    auto envelope = sample_envelope();
    CHECK_FALSE(has(text_for(envelope), "Future-Release-Request"));
    envelope.wishes.release.after = std::chrono::hours{1};
    CHECK(has(text_for(envelope), "\r\nFuture-Release-Request: for;3600\r\n"));
    envelope.wishes.release = {.at = WallTime{std::chrono::days{20'000}}};
    CHECK(has(text_for(envelope), "\r\nFuture-Release-Request: until;2024-10-04T00:00:00Z\r\n"));
}

TEST_CASE("a notice names the time until which it was to be delivered (RFC 2852 section 5)") {
    auto envelope = sample_envelope();
    CHECK_FALSE(has(text_for(envelope), "Deliver-By-Date"));
    envelope.wishes.deliver_by = {.otherwise = DeliverBy::Otherwise::give_back,
                                  .at = WallTime{std::chrono::days{20'000}}};
    CHECK(has(text_for(envelope), "\r\nDeliver-By-Date: Fri, 4 Oct 2024 00:00:00 +0000\r\n"));
    CHECK(has(text_for(envelope, head, DsnKind::relayed), "You may hear again"));
}

TEST_CASE("RET decides what of a failed message is returned (RFC 3461 section 4.3)") {
    auto envelope = sample_envelope();
    CHECK_FALSE(has(text_for(envelope), "the body"));
    envelope.wishes.ret = ReturnContent::headers;
    CHECK_FALSE(has(text_for(envelope), "the body"));
    envelope.wishes.ret = ReturnContent::full;
    CHECK(has(text_for(envelope), "message/rfc822\r\n\r\n" + std::string(head)));
    CHECK_FALSE(has(text_for(envelope, head, DsnKind::relayed), "the body"));
    CHECK_FALSE(has(text_for(envelope, "Subject: x\r\n\r\nthe body \xC3\xB6"), "the body"));

    auto secret = envelope;
    secret.wishes.require_tls = true;
    CHECK_FALSE(has(text_for(secret), "the body"));
    auto large = envelope;
    large.chunk_count = 1;
    CHECK_FALSE(has(text_for(large), "the body"));
}

TEST_CASE("UTF-8 goes only to who uses it (RFC 6533)") {
    auto envelope = sample_envelope({"\xE4\xBE\x8B@example.net"});
    envelope.wishes.utf8 = true;
    envelope.recipients[0].wishes.original = "utf-8;\\x{4F8B}@example.com";
    const auto text = text_for(envelope);
    CHECK(has(text, "message/global-delivery-status"));
    CHECK(has(text, "Original-Recipient: utf-8;\xE4\xBE\x8B@example.com\r\n"));

    auto plain = sample_envelope();
    plain.recipients[0].wishes.original = "utf-8;\\x{4F8B}@example.com";
    const auto ascii = text_for(plain);
    CHECK(has(ascii, "Content-Type: message/delivery-status\r\n"));
    CHECK(has(ascii, "Original-Recipient: utf-8;\\x{4F8B}@example.com\r\n"));
}

TEST_CASE("the notice's own envelope") {
    auto envelope = sample_envelope();
    const auto plain = make_notice(envelope, "", text_for(envelope), {"mx.example.org"}, accepted);
    CHECK(plain.envelope.wishes == MailWishes{});
    CHECK(plain.envelope.body == BodyKind::seven_bit);
    CHECK(plain.envelope.recipients[0].wishes == RecipientWishes{});

    envelope.sender = "\xC3\xB6@example.org";
    envelope.wishes = {.utf8 = true, .require_tls = true};
    const auto utf8 = make_notice(envelope, "", text_for(envelope), {"mx.example.org"}, accepted);
    CHECK(utf8.envelope.wishes == MailWishes{.utf8 = true, .require_tls = true});
    CHECK(utf8.envelope.utf8_header);
    CHECK(utf8.envelope.body == BodyKind::eight_bit);
}

TEST_CASE("a notice has the priority of what it is about (RFC 6710 section 4.6)") {
    auto envelope = sample_envelope();
    envelope.wishes.priority = 3;
    const auto notice = make_notice(envelope, "", text_for(envelope), {"mx.example.org"}, accepted);
    CHECK(notice.envelope.wishes.priority == 3);
}

TEST_CASE("notices of what goes on have names of their own") {
    const auto envelope = sample_envelope({"a@x", "b@x"});
    const auto first = notice_text(DsnKind::relayed, envelope, about({0}, DsnKind::relayed), head,
                                   {"mx.example.org"}, accepted);
    const auto second = notice_text(DsnKind::relayed, envelope, about({1}, DsnKind::relayed), head,
                                    {"mx.example.org"}, accepted);
    const auto id_of = [](const std::string& text) {
        const auto at = text.find("Message-ID: ");
        return text.substr(at, text.find("\r\n", at) - at);
    };
    CHECK(id_of(first) != id_of(second));
}
