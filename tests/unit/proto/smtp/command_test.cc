#include "proto/smtp/command.h"

#include <doctest/doctest.h>

#include <string>

#include "proto/smtp/base64.h"
#include "proto/smtp/original_recipient.h"
#include "proto/smtp/parameters.h"
#include "proto/smtp/server_offer.h"
#include "proto/smtp/xtext.h"
#include "proto/types/date_time.h"

using namespace posthorse;
using namespace posthorse::smtp;

TEST_CASE("verbs are known in any case, arguments lose the space around them") {
    CHECK(parse_command("ehlo example.org").verb == Verb::ehlo);
    CHECK(parse_command("eHlO \t example.org \t").argument == "example.org");
    CHECK(parse_command("MAIL FROM:<a@b.example>").verb == Verb::mail);
    CHECK(parse_command("MAIL FROM:<a@b.example>").argument == "FROM:<a@b.example>");
    CHECK(parse_command("QUIT ").verb == Verb::quit);
    CHECK(parse_command("QUITE").verb == Verb::unknown);
    CHECK(parse_command("").verb == Verb::unknown);
    CHECK(parse_command(" QUIT").verb == Verb::unknown);
    CHECK(parse_command("GET / HTTP/1.1").verb == Verb::http);
}

TEST_CASE("controls and 8-bit octets are told apart") {
    using namespace std::string_view_literals;
    CHECK(parse_command("NOOP x").fault == CommandFault::none);
    CHECK(parse_command("NOOP \x01").fault == CommandFault::control_character);
    CHECK(parse_command("NO\0OP"sv).fault == CommandFault::control_character);
    CHECK(parse_command("NOOP \x7f").fault == CommandFault::control_character);
    CHECK(parse_command("NOOP\ta").fault == CommandFault::control_character);
    CHECK(parse_command("NOOP \xc3\xa4").fault == CommandFault::eight_bit);
    CHECK(parse_command("NOOP \xc3\x1b").fault == CommandFault::control_character);
}

TEST_CASE("keywords in front of paths") {
    CHECK(after_keyword("from:<x>", "FROM:") == "<x>");
    CHECK(after_keyword("FROM:", "FROM:") == "");
    CHECK_FALSE(after_keyword("FROM <x>", "FROM:"));
    CHECK_FALSE(after_keyword("", "FROM:"));
}

TEST_CASE("a HELO name holds nothing that a Received field could misread (attacks: S31)") {
    for (const auto* good :
         {"example.org", "a_b.example", "[192.0.2.1]", "[IPv6:2001:db8::1]", "localhost"}) {
        CHECK(is_helo_name(good));
    }
    for (const auto* bad :
         {"", "a b", "a(b)", "<a>", "a;b", "a@b", "a\x1b[31m", "a\"b", "\xc3\xa4"}) {
        CHECK_FALSE(is_helo_name(bad));
    }
    CHECK(is_helo_name(std::string(255, 'a')));
    CHECK_FALSE(is_helo_name(std::string(256, 'a')));
}

TEST_CASE("MAIL parameters that are offered") {
    MailParameters parameters;
    CHECK_FALSE(parse_mail_parameters("", {}, parameters));
    CHECK_FALSE(parse_mail_parameters(" size=12345 BODY=8bitmime AUTH=<>", {}, parameters));
    CHECK(parameters.size_bytes == 12345);
    CHECK(parameters.body == BodyKind::eight_bit);
    CHECK_FALSE(parse_mail_parameters(" AUTH=user+2Btag@example.org", {}, parameters));
    CHECK_FALSE(parse_mail_parameters(" SIZE=99999999999999999999", {}, parameters));
    CHECK(parameters.size_bytes == UINT64_MAX);
}

TEST_CASE("MAIL parameters that are not, and those that are malformed (attacks: S25)") {
    struct Case {
        const char* text;
        int code;
    };
    for (const auto& [text, code] :
         {Case{" foo", 555}, Case{" REQUIRETLS", 555}, Case{" NOTIFY=NEVER", 555},
          Case{" SIZE=1 SIZE=1", 501}, Case{" BODY=7BIT BODY=7BIT", 501},
          Case{" AUTH=<> AUTH=<>", 501}, Case{" SIZE", 501}, Case{" SIZE=", 501},
          Case{" SIZE=-1", 501}, Case{" SIZE=0x10", 501}, Case{" SIZE=100000000000000000000", 501},
          Case{" BODY=BINARYMIME", 501}, Case{" BODY", 501}, Case{" AUTH=", 501},
          Case{" AUTH=+0D+0Ax@example.org", 501}, Case{" AUTH=+4", 501}, Case{"SIZE=1", 501},
          Case{">", 501}}) {
        CAPTURE(text);
        MailParameters parameters;
        const auto refusal = parse_mail_parameters(text, {}, parameters);
        REQUIRE(refusal);
        CHECK(refusal->code == code);
        CHECK(refusal->enhanced == EnhancedCode{5, 5, 4});
    }
}

TEST_CASE("what MAIL asks of the servers on the way") {
    MailParameters parameters;
    CHECK_FALSE(parse_mail_parameters(" SMTPUTF8 requiretls RET=full ENVID=QQ+2B1",
                                      {.channel = Channel::tls}, parameters));
    CHECK(parameters.wishes == MailWishes{.utf8 = true,
                                          .require_tls = true,
                                          .ret = ReturnContent::full,
                                          .envelope_id = "QQ+2B1"});
    MailParameters headers;
    CHECK_FALSE(parse_mail_parameters(" RET=HDRS", {}, headers));
    CHECK(headers.wishes == MailWishes{.ret = ReturnContent::headers});
}

namespace {

MailOffer with_release() {
    return {.release = ReleaseBounds{.after_max = std::chrono::days{1},
                                     .at_max = *parse_date_time("2026-12-31T00:00:00Z")}};
}

}  // namespace

TEST_CASE("a message for later (RFC 4865)") {
    MailParameters after;
    CHECK_FALSE(parse_mail_parameters(" holdfor=86400 SIZE=7", with_release(), after));
    CHECK(after.wishes.release == FutureRelease{.after = std::chrono::days{1}});
    CHECK(release_parameter(after.wishes.release) == "HOLDFOR=86400");
    MailParameters at;
    CHECK_FALSE(parse_mail_parameters(" HOLDUNTIL=2026-12-31T01:00:00+01:00", with_release(), at));
    CHECK(at.wishes.release == FutureRelease{.at = *parse_date_time("2026-12-31T00:00:00Z")});
    CHECK(release_parameter(at.wishes.release) == "HOLDUNTIL=2026-12-31T00:00:00Z");
}

TEST_CASE("a release that is too far, malformed or said twice is refused (attacks: S25)") {
    for (const auto* text :
         {" HOLDFOR", " HOLDFOR=", " HOLDFOR=0", " HOLDFOR=01", " HOLDFOR=-1", " HOLDFOR=1s",
          " HOLDFOR=86401", " HOLDFOR=1000000000", " HOLDFOR=18446744073709551615", " HOLDUNTIL",
          " HOLDUNTIL=", " HOLDUNTIL=tomorrow", " HOLDUNTIL=2026-12-31T00:00:01Z",
          " HOLDUNTIL=1970-01-01T00:00:00Z", " HOLDUNTIL=9999-12-31T23:59:59Z",
          " HOLDFOR=1 HOLDFOR=1", " HOLDFOR=1 HOLDUNTIL=2026-12-30T00:00:00Z",
          " HOLDUNTIL=2026-12-30T00:00:00Z HOLDFOR=1"}) {
        CAPTURE(text);
        MailParameters parameters;
        const auto refusal = parse_mail_parameters(text, with_release(), parameters);
        REQUIRE(refusal);
        CHECK(refusal->code == 501);
        CHECK(refusal->enhanced == EnhancedCode{5, 5, 4});
    }
    MailParameters parameters;
    CHECK(parse_mail_parameters(" HOLDFOR=1", {}, parameters)->code == 555);
}

TEST_CASE("until when a message is to be delivered (RFC 2852)") {
    using Otherwise = DeliverBy::Otherwise;
    struct Case {
        const char* text;
        DeliverBy by;
        const char* written;
    };
    using std::chrono::seconds;
    for (const auto& [text, by, written] :
         {Case{" BY=120;R", {Otherwise::give_back, false, seconds{120}, {}}, "BY=120;R"},
          Case{" by=+999999999;rt",
               {Otherwise::give_back, true, seconds{999'999'999}, {}},
               "BY=999999999;RT"},
          Case{" BY=-7;N", {Otherwise::notify, false, seconds{-7}, {}}, "BY=-7;N"},
          Case{" BY=000;NT", {Otherwise::notify, true, seconds{0}, {}}, "BY=0;NT"}}) {
        CAPTURE(text);
        MailParameters parameters;
        CHECK_FALSE(parse_mail_parameters(text, {}, parameters));
        CHECK(parameters.wishes.deliver_by == by);
        CHECK(deliver_by_parameter(by) == written);
    }
    MailParameters parameters;
    const MailOffer minute{.deliver_by_min = std::chrono::minutes{1}};
    CHECK(parse_mail_parameters(" BY=59;R", minute, parameters)->code == 555);
    MailParameters told;
    CHECK_FALSE(parse_mail_parameters(" BY=59;N", minute, told));
}

TEST_CASE("a time of delivery that is none is refused (attacks: S25)") {
    for (const auto* text :
         {" BY", " BY=", " BY=;R", " BY=1", " BY=1;", " BY=1;T", " BY=1;RN", " BY=1;RTT",
          " BY=1;R;T", " BY=0;R", " BY=-1;R", " BY=--1;N", " BY=1s;N", " BY=1000000000;N",
          " BY=0000000001;N", " BY=1;R BY=1;R", " BY=;", " BY=18446744073709551616;N"}) {
        CAPTURE(text);
        MailParameters parameters;
        const auto refusal = parse_mail_parameters(text, {}, parameters);
        REQUIRE(refusal);
        CHECK(refusal->code == 501);
        CHECK(refusal->enhanced == EnhancedCode{5, 5, 4});
    }
}

TEST_CASE("a priority, and what is given (RFC 6710)") {
    const MailOffer submission{.priority_max = 4};
    struct Case {
        const char* text;
        MailOffer offer;
        int given;
        PriorityGiven as;
    };
    for (const auto& [text, offer, given, as] :
         {Case{"", submission, 0, PriorityGiven::unasked},
          Case{" MT-PRIORITY=4", submission, 4, PriorityGiven::as_asked},
          Case{" MT-PRIORITY=5", submission, 4, PriorityGiven::lowered},
          Case{" MT-PRIORITY=0", submission, 0, PriorityGiven::as_asked},
          Case{" MT-PRIORITY=1", {}, 0, PriorityGiven::lowered},
          Case{" MT-PRIORITY=-9", {}, -9, PriorityGiven::as_asked}}) {
        CAPTURE(text);
        MailParameters parameters;
        CHECK_FALSE(parse_mail_parameters(text, offer, parameters));
        CHECK(parameters.wishes.priority == given);
        CHECK(parameters.priority == as);
    }
    for (const auto* bad : {"", "-", "+1", "10", "-0", "00", "1 ", "a", "--1", "\xb2"})
        CHECK_MESSAGE(!parse_priority(bad), bad);
}

TEST_CASE("what RCPT asks of the servers on the way") {
    RecipientWishes none;
    CHECK_FALSE(parse_rcpt_parameters("", none));
    CHECK(none == RecipientWishes{});
    CHECK(none.notify.wants_failure());
    CHECK(none.notify.wants_delay());
    RecipientWishes silent;
    CHECK_FALSE(parse_rcpt_parameters(" NOTIFY=never", silent));
    CHECK(silent.notify == Notify{.said = true});
    CHECK_FALSE(silent.notify.wants_failure());
    RecipientWishes some;
    CHECK_FALSE(parse_rcpt_parameters(" ORCPT=rfc822;bob+2Bx@b NOTIFY=DELAY,success", some));
    CHECK(some.notify == Notify{.said = true, .success = true, .delay = true});
    CHECK(some.original == "rfc822;bob+2Bx@b");
    RecipientWishes unread;
    CHECK(parse_rcpt_parameters(" foo", unread)->code == 555);
    CHECK(parse_rcpt_parameters("x", unread)->code == 501);
}

TEST_CASE("the recipient as the sender named it") {
    using Original = OriginalRecipient;
    CHECK(parse_original_recipient("rfc822;bob+2Bx@b") == Original{"rfc822", "bob+x@b"});
    CHECK(parse_original_recipient("X-400;c=us") == std::nullopt);  // '=' is no xtext
    CHECK(parse_original_recipient("utf-8;b\\x{F6}b@b") == Original{"utf-8",
                                                                    "b\xC3\xB6"
                                                                    "b@b"});
    CHECK(parse_original_recipient("UTF-8;\\x{4F8B}\\x{1F434}@b") ==
          Original{"UTF-8", "\xE4\xBE\x8B\xF0\x9F\x90\xB4@b"});
    CHECK(parse_original_recipient("utf-8;b\xC3\xB6"
                                   "b@b") == Original{"utf-8",
                                                      "b\xC3\xB6"
                                                      "b@b"});
    // As Postfix writes it.
    CHECK(parse_original_recipient("rfc822;b+C3+B6b+2Bx@b") == Original{"utf-8",
                                                                        "b\xC3\xB6"
                                                                        "b+x@b"});
    for (const auto* bad : {"", ";", "rfc822", "rfc822;", ";x", "rfc 822;x", "utf-8;\\x{}",
                            "utf-8;\\x{7}", "utf-8;\\x{7F}", "utf-8;\\x{110000}", "utf-8;\\x{f6}",
                            "utf-8;\\y", "utf-8;a+b", "utf-8;\xC3", "rfc822;+0A", "rfc822;+C3",
                            "rfc822;+C3+B6+0A", "rfc822;+C2+85", "x400;+C3+B6"}) {
        CHECK_MESSAGE(!parse_original_recipient(bad), bad);
    }
    CHECK(as_ascii_parameter("utf-8;b\xC3\xB6"
                             "b\\x{2B}@\xF0\x9F\x90\xB4") == "utf-8;b\\x{F6}b\\x{2B}@\\x{1F434}");
}

TEST_CASE("xtext survives every octet and refuses what is none") {
    std::string octets;
    for (int c = 0; c < 256; ++c) octets += static_cast<char>(c);
    CHECK(decode_xtext(encode_xtext(octets)) == octets);
    CHECK(encode_xtext("a+b=c d") == "a+2Bb+3Dc+20d");
    for (const auto* bad : {"+", "+2", "+2g", "+2b", "a b", "a=b", "\x80"})
        CHECK_FALSE(decode_xtext(bad));
}

TEST_CASE("base64: RFC 4648 section 10, and what it forbids") {
    struct Case {
        const char *octets, *text;
    };
    for (const auto& [octets, text] :
         {Case{"", ""}, Case{"f", "Zg=="}, Case{"fo", "Zm8="}, Case{"foo", "Zm9v"},
          Case{"foob", "Zm9vYg=="}, Case{"foobar", "Zm9vYmFy"}}) {
        CHECK(encode_base64(octets) == text);
        CHECK(decode_base64(text) == octets);
    }
    for (const auto* bad :
         {"Z", "Zg", "Zg=", "Zg===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9v", "Z-_v"}) {
        CAPTURE(bad);
        CHECK_FALSE(decode_base64(bad));
    }
    std::string octets;
    for (int c = 0; c < 256; ++c) octets += static_cast<char>(c);
    CHECK(decode_base64(encode_base64(octets)) == octets);
}

TEST_CASE("an EHLO answer is read keyword by keyword (attacks: C7)") {
    const auto offer =
        parse_offer("mx.example.org hello\nPIPELINING\nsize 1000\n8BITMIME\nSTARTTLS\nXFOO a b\n");
    CHECK(offer.esmtp);
    CHECK(offer.pipelining);
    CHECK(offer.eight_bit_mime);
    CHECK(offer.starttls);
    CHECK_FALSE(offer.enhanced_codes);
    CHECK(offer.size);
    CHECK(offer.size_bytes_max == 1000);
    CHECK(parse_offer("x\nSIZE").size_bytes_max == 0);
    CHECK(parse_offer("x\nSIZE 10k").size_bytes_max == 0);
    CHECK(parse_offer("x\nSIZE 99999999999999999999999").size_bytes_max == 0);
    CHECK(parse_offer("x\nDELIVERBY").deliver_by);
    CHECK(parse_offer("x\nDELIVERBY 120,OTHER").deliver_by_seconds_min == 120);
    CHECK(parse_offer("x\nDELIVERBY ,OTHER").deliver_by_seconds_min == 0);
    CHECK_FALSE(parse_offer("x").deliver_by);
    CHECK(parse_offer("x\nMT-PRIORITY STANAG4406").priority);
    CHECK_FALSE(parse_offer("PIPELINING SIZE 1").pipelining);  // the first line is the host's name
}
