#include "proto/mail/dkim_signature.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::mail;

namespace {

const std::string good =
    " v=1; a=rsa-sha256; c=relaxed/simple;\r\n d=example.org; s=one;\r\n\tt=1; x=2; "
    "h=From:To :\r\n Subject; i=ann=3B@example.org; bh=YWI=; b=ab\r\n cd==;";

std::string fault_of(const std::string& value) {
    const auto tags = parse_dkim_signature(value);
    return tags ? std::string() : tags.error().what;
}

std::string with(std::string_view from, std::string_view to) {
    auto text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
}

}  // namespace

TEST_CASE("the tags of a signature, without white space") {
    const auto tags = parse_dkim_signature(good);
    REQUIRE(tags.has_value());
    CHECK(tags->domain == "example.org");
    CHECK(tags->selector == "one");
    CHECK(tags->algorithm == "rsa-sha256");
    CHECK(tags->signature == "abcd==");
    CHECK_FALSE(tags->has_length);
    CHECK(parse_dkim_signature(with("t=1", "l=17"))->has_length);
}

TEST_CASE("a malformed signature says what is wrong") {
    CHECK(fault_of("") == "no v=");
    CHECK(fault_of(with("d=example.org;", "")) == "no d=");
    CHECK(fault_of(with("b=ab\r\n cd==", "b=")) == "no b=");
    CHECK(fault_of(with("s=one;", "s=one; s=two;")) == "no list of tags");
    CHECK(fault_of(with("s=one;", "s one;")) == "no list of tags");
    CHECK(fault_of(with("s=one;", "=one;")) == "no list of tags");
    CHECK(fault_of(with("t=1", "t=-1")) == "t= is no number");
    CHECK(fault_of(with("x=2", "x=9999999999999999999")) == "x= is no number");
    CHECK(fault_of(with("t=1", "l=")) == "l= is no number");
    CHECK(fault_of(with("s=one", "s=\xc3\xb6ne")) == "octets that may not stand in a signature");
}

TEST_CASE("an escape that is cut off never reaches a decoder") {
    for (const std::string escape : {"=", "=3", "=3b", "=XY"}) {
        CAPTURE(escape);
        CHECK(fault_of(with("=3B@example.org", escape)) == "i= is malformed");
    }
}

TEST_CASE("the names that a signature covers, and its size, have bounds") {
    std::string names = "From";
    for (std::size_t i = 1; i < dkim_signed_names_max; ++i) names += ":x";
    CHECK(fault_of(with("From:To :\r\n Subject", names)).empty());
    CHECK(fault_of(with("From:To :\r\n Subject", names + ":x")) == "h= names too many fields");
    CHECK(fault_of(with("b=ab", "b=ab" + std::string(dkim_field_bytes_max, 'a'))) == "too long");
}
