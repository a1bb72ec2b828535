#include "daemon/sign/signing_table.h"

#include <doctest/doctest.h>

using namespace posthorse::sign;

namespace {

bool match(std::string pattern, std::string_view address) {
    return matches(SigningRow{std::move(pattern), "key", "", 1}, address);
}

std::string first_pattern(std::string_view line, TableKind kind) {
    const auto table = parse_signing_table(line, "t", kind);
    REQUIRE(table.rows.size() == 1);
    return table.rows[0].pattern;
}

}  // namespace

TEST_CASE("a KeyTable is read as OpenDKIM reads it") {
    const auto table = parse_key_table(
        "# keys\n"
        "\n"
        "one  Example.org:s2026:/keys/one.pem   # the first\n"
        "\ttwo\t% : s1 : ./two.pem\r\n"
        "three example.net:s3:MIIBase64",
        "KeyTable");
    CHECK(table.problems.empty());
    REQUIRE(table.rows.size() == 3);
    CHECK(table.rows.at("one").domain == "example.org");
    CHECK(table.rows.at("one").selector == "s2026");
    CHECK(table.rows.at("one").key == "/keys/one.pem");
    CHECK(table.rows.at("one").line == 3);
    CHECK(table.rows.at("two").domain == "%");
    CHECK(table.rows.at("two").key == "./two.pem");
    CHECK(table.rows.at("three").key == "MIIBase64");
}

TEST_CASE("malformed rows of a KeyTable are skipped and named") {
    const auto table = parse_key_table(
        "good example.org:s:/k\n"
        "alone\n"
        "short example.org:s\n"
        "empty ::/k\n"
        "good example.org:other:/k\n",
        "KeyTable");
    CHECK(table.rows.size() == 1);
    CHECK(table.rows.at("good").selector == "s");
    REQUIRE(table.problems.size() == 4);
    for (std::uint32_t i = 0; i < 4; ++i) {
        CHECK(table.problems[i].line == i + 2);
        CHECK(table.problems[i].file == "KeyTable");
        CHECK_FALSE(table.problems[i].fatal);
    }
}

TEST_CASE("a SigningTable keeps the order of its rows") {
    const auto table = parse_signing_table(
        "*@sub.example  one\n"
        "Ann@Example.org two:ann@example.org  # with i=\n"
        "*  %\n"
        "broken\n"
        "nokey :x\n",
        "SigningTable", TableKind::refile);
    REQUIRE(table.rows.size() == 3);
    CHECK(table.rows[0].key_name == "one");
    CHECK(table.rows[1].pattern == "ann@example.org");
    CHECK(table.rows[1].signer == "ann@example.org");
    CHECK(table.rows[2].key_name == "%");
    REQUIRE(table.problems.size() == 2);
    CHECK(table.problems[0].line == 4);
    CHECK(table.problems[1].line == 5);
}

TEST_CASE("in a refile a star stands for anything, and letters match in either case") {
    CHECK(match("*@sub.example", "ann@sub.example"));
    CHECK(match("*@sub.example", "ANN@SUB.Example"));
    CHECK_FALSE(match("*@sub.example", "ann@other.example"));
    CHECK_FALSE(match("*@sub.example", "ann@sub.example.evil"));
    CHECK_FALSE(match("*@sub.example", "ann@xsub.example"));
    CHECK(match("*.example", "ann@sub.example"));
    CHECK_FALSE(match("*.example", "ann@example"));
    CHECK(match("*@*.example", "ann@a.b.example"));
    CHECK(match("ann@example.org", "ann@example.org"));
    CHECK_FALSE(match("ann@example.org", "xann@example.org"));
    CHECK(match("*", "ann@example.org"));
    CHECK(match("*", ""));
    CHECK(match("a*b*c@x", "aXbYbZc@x"));
    CHECK_FALSE(match("a*b*c@x", "aXcYbZ@x"));
    CHECK_FALSE(match("", "a"));
    CHECK(match("a**", "a"));
}

TEST_CASE("patterns with many stars do not take for ever") {
    std::string pattern;
    for (int i = 0; i < 50; ++i) pattern += "*a";
    CHECK_FALSE(match(pattern + "b", std::string(2000, 'a')));
}

TEST_CASE("the keys of a plain file are the addresses they name") {
    CHECK(first_pattern("ann@example.org k", TableKind::file) == "ann@example.org");
    CHECK(first_pattern("example.org k", TableKind::file) == "*@example.org");
    CHECK(first_pattern(".example.org k", TableKind::file) == "*@*.example.org");
    CHECK(first_pattern("ann@.example.org k", TableKind::file) == "ann@*.example.org");
    CHECK(first_pattern("ann@* k", TableKind::file) == "ann@*");
    CHECK(first_pattern("* k", TableKind::file) == "*");
    CHECK(first_pattern("example.org k", TableKind::refile) == "example.org");
}

TEST_CASE("a table's name may carry its kind") {
    CHECK(parse_table_name("refile:/a").path == "/a");
    CHECK(parse_table_name("refile:/a").kind == TableKind::refile);
    CHECK(parse_table_name("file:/a").path == "/a");
    CHECK(parse_table_name("file:/a").kind == TableKind::file);
    CHECK(parse_table_name("/a").path == "/a");
    CHECK(parse_table_name("/a").kind == TableKind::refile);
}

TEST_CASE("a percent sign is the sender's domain") {
    CHECK(expand("%", "example.org") == "example.org");
    CHECK(expand("list@%", "example.org") == "list@example.org");
    CHECK(expand("plain", "example.org") == "plain");
}
