#include "proto/mail/authentication_results.h"

#include <doctest/doctest.h>

#include <string>

using namespace posthorse;
using namespace posthorse::mail;

namespace {

bool is_mx(std::string_view id) {
    return equal_ignoring_case(id, "mx.example.org");
}

ForgedFieldsRemoved removed_from(std::string_view section) {
    return without_forged_results(parse_header(section), is_mx);
}

}  // namespace

TEST_CASE("a field tells its results, folded, with what needs quotes in quotes") {
    const auto field = authentication_results_field(
        "mx.example.org",
        {{"dkim", "pass", "", {{"header", "d", "example.org"}, {"header", "b", "ab/+cd=="}}},
         {"spf", "permerror", "a \"b\" \\", {{"smtp", "mailfrom", "ann@example.org"}}},
         {"dmarc", "fail", "", {{"header", "from", "example.org"}, {"policy", "dmarc", "none"}}}});
    CHECK(field ==
          "Authentication-Results: mx.example.org;\r\n"
          "\tdkim=pass header.d=example.org header.b=\"ab/+cd==\";\r\n"
          "\tspf=permerror reason=\"a \\\"b\\\" \\\\\" smtp.mailfrom=ann@example.org;\r\n"
          "\tdmarc=fail header.from=example.org policy.dmarc=none\r\n");
}

TEST_CASE("without results it says so") {
    CHECK(authentication_results_field("mx.example.org", {}) ==
          "Authentication-Results: mx.example.org; none\r\n");
}

TEST_CASE("no octet of a stranger ends the field, a line or a result") {
    for (const std::string hostile : {"a@b\r\nX: y", "a; dkim=pass@b", "a b@c", "a@b; dmarc=pass",
                                      "(a@b", "\"a\"@b", "a@b@c", "a@[192.0.2.1]", "a@b;"}) {
        CAPTURE(hostile);
        const auto field = authentication_results_field(
            "mx", {{"spf", "fail", hostile, {{"smtp", "mailfrom", hostile}}}});
        const auto header = parse_header(field);
        REQUIRE(header.fields.size() == 1);
        CHECK(header.length == field.size());
        CHECK(field.find("smtp.mailfrom=\"") != std::string::npos);
        CHECK(authserv_id(header.fields[0].value) == "mx");
    }
}

TEST_CASE("letters beyond ASCII stand as they are in an address, and quoted elsewhere") {
    const auto field = authentication_results_field(
        "mx", {{"spf", "pass", "", {{"smtp", "mailfrom", "j\xc3\xbcrgen@m\xc3\xa4il.example"}}}});
    CHECK(field.find("smtp.mailfrom=j\xc3\xbcrgen@m\xc3\xa4il.example\r\n") != std::string::npos);
}

TEST_CASE("a long result goes on in another line, and what is too long is left out") {
    const std::string domain = std::string(60, 'a') + ".example";
    const auto field = authentication_results_field(
        "mx", {{"dkim",
                "pass",
                "",
                {{"header", "d", domain},
                 {"header", "s", domain},
                 {"header", "a", std::string(property_bytes_max + 1, 'x')}}}});
    for (std::size_t at = 0; at < field.size();) {
        const auto end = field.find("\r\n", at);
        CHECK(end - at <= 90);
        at = end + 2;
    }
    CHECK(field.find("header.a") == std::string::npos);
}

TEST_CASE("an authserv-id is read whatever surrounds it") {
    for (const std::string value :
         {" mx.example.org; none", "mx.example.org;none", " mx.example.org",
          " mx.example.org 1; none", "\r\n\tmx.example.org\r\n ; none",
          " (a comment) mx.example.org (b) 1 (c); none",
          " (a (nested\\) one) here) mx.example.org; none", " \"mx.example.org\"; none",
          " \"mx\\.example.org\" ; none", " \"mx.exam\r\nple.org\"; none"}) {
        CAPTURE(value);
        CHECK(authserv_id(value) == "mx.example.org");
    }
    CHECK(authserv_id(" m\xc3\xa4il.example; none") == "m\xc3\xa4il.example");
}

TEST_CASE("what is no authserv-id cannot be read") {
    for (const std::string value :
         {"", " ", "; none", " (open mx.example.org; none", " \"open; none", " spf=pass",
          " mx.(x)example.org; none", " mx.example.org/1; none", " mx.example.org x; none",
          " mx.example.org 1 2; none", " \"mx\"\"y\"; none", " \"mx\\"}) {
        CAPTURE(value);
        CHECK_FALSE(authserv_id(value));
    }
}

TEST_CASE("fields in our name go, and so do those that nobody can read; all else stays") {
    const std::string kept =
        "From: a@example.org\r\nAuthentication-Results: other.example; dkim=pass\r\n"
        "X-Authentication-Results: mx.example.org; dkim=pass\r\n"
        "ARC-Authentication-Results: i=1; mx.example.org; dkim=pass\r\nSubject: x\r\n y\r\n";
    CHECK(removed_from(kept).section == kept);
    CHECK(removed_from(kept).count == 0);
    for (const std::string forged :
         {"Authentication-Results: mx.example.org; dkim=pass\r\n",
          "AUTHENTICATION-RESULTS: MX.Example.ORG; dkim=pass\r\n",
          "Authentication-Results :\r\n mx.example.org\r\n\t;\r\n dkim=pass\r\n",
          "Authentication-Results: (x) \"mx.example.org\" (y) 1; dkim=pass\r\n",
          "Authentication-Results: mx.(x)example.org; dkim=pass\r\n",
          "Authentication-Results: ; dkim=pass\r\n"}) {
        CAPTURE(forged);
        const auto found = removed_from(forged + kept + forged);
        CHECK(found.section == kept);
        CHECK(found.count == 2);
    }
}
