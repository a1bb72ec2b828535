#include "daemon/intake/recipient_map.h"

#include <doctest/doctest.h>

using namespace posthorse;
using intake::RecipientMap;

namespace {

// A map without a fault.
RecipientMap good(std::string_view text) {
    std::vector<config::Problem> problems;
    auto map = RecipientMap::parse(text, "access", problems);
    for (const auto& problem : problems) FAIL_CHECK(problem.to_string());
    return map;
}

std::string answer(const RecipientMap& map, const char* address) {
    const auto reply = map.judge(address);
    return reply ? reply->to_line() : "";
}

}  // namespace

TEST_CASE("the most telling row decides: the address, the domain, the domains above, the user") {
    const auto map = good(R"(# sendmail's access map
To:ann@example.org      RELAY
To:Bob@Mail.Example.org OK
To:example.org          REJECT
To:list.example.org     450 4.2.1 the list is being moved
To:abuse@               RELAY
)");
    CHECK(answer(map, "ann@example.org") == "250 2.1.5 recipient ok");
    CHECK(answer(map, "ANN@EXAMPLE.ORG") == "250 2.1.5 recipient ok");
    CHECK(answer(map, "bob@mail.example.org") == "250 2.1.5 recipient ok");
    CHECK(answer(map, "eve@example.org") == "550 5.1.1 no such recipient here");
    CHECK(answer(map, "eve@mail.example.org") == "550 5.1.1 no such recipient here");
    CHECK(answer(map, "any@list.example.org") == "450 4.2.1 the list is being moved");
    CHECK(answer(map, "any@sub.list.example.org") == "450 4.2.1 the list is being moved");
    CHECK(answer(map, "abuse@example.net") == "250 2.1.5 recipient ok");
    CHECK(answer(map, "abuse@example.org") == "550 5.1.1 no such recipient here");
    CHECK(answer(map, "eve@example.net").empty());
    CHECK(answer(map, "eve@xexample.org").empty());
    CHECK(answer(map, "postmaster").empty());
}

TEST_CASE("replies may be written as sendmail has them") {
    struct Row {
        const char* action;
        const char* reply;
    };
    const Row rows[] = {
        {"550 gone", "550 5.1.1 gone"},
        {"550", "550 5.1.1 recipient refused"},
        {"450 4.2.1 try later", "450 4.2.1 try later"},
        {"ERROR:550 No such user", "550 5.1.1 No such user"},
        {"ERROR:5.7.1:550 Denied", "550 5.7.1 Denied"},
        {"error:\"450 4.7.1 Not now\"", "450 4.7.1 Not now"},
        {"ERROR:4.2.2:\"452 Full\"", "452 4.2.2 Full"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.action);
        const auto map = good(std::string("To:ann@example.org\t") + row.action);
        CHECK(answer(map, "ann@example.org") == row.reply);
    }
}

TEST_CASE("a row that cannot be used is skipped, with its line, and the rest counts") {
    std::vector<config::Problem> problems;
    const auto map = RecipientMap::parse(
        "From:spam@example.net REJECT\n"
        "To:ann@example.org\n"
        "To:@example.org RELAY\n"
        "To:bob@-bad- RELAY\n"
        "To:a@example.org DISCARD\n"
        "To:b@example.org 250 fine\n"
        "To:c@example.org 55 short\n"
        "To:d@example.org ERROR:4.1.1:550 classes differ\n"
        "To:e@example.org RELAY\n"
        "To:E@example.org REJECT\n"
        "To:f@example.org RELAY",
        "access", problems);
    CHECK(map.size() == 2);
    REQUIRE(problems.size() == 9);
    for (std::size_t i = 0; i < problems.size(); ++i) {
        CAPTURE(problems[i].what);
        CHECK(problems[i].line == (i < 8 ? i + 1 : 10));
        CHECK_FALSE(problems[i].fatal);
        CHECK(problems[i].file == "access");
    }
    CHECK(answer(map, "e@example.org").starts_with("250"));
    CHECK(answer(map, "f@example.org").starts_with("250"));
}

TEST_CASE("a file that cannot be read is a fatal problem") {
    std::vector<config::Problem> problems;
    CHECK_FALSE(RecipientMap::load("/nowhere/access", problems).has_value());
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].fatal);
    CHECK(problems[0].what.find("intake.recipient_map") != std::string::npos);
}
