#include "daemon/intake/sender_map.h"

#include <doctest/doctest.h>

using namespace posthorse;
using intake::SenderMap;

namespace {

SenderMap with_table(std::string_view table, std::vector<std::string> domains = {}) {
    SenderMap map("mx.example.org", std::move(domains));
    std::vector<config::Problem> problems;
    map.add_table(table, "generics", problems);
    for (const auto& problem : problems) FAIL_CHECK(problem.to_string());
    return map;
}

}  // namespace

TEST_CASE("the table gives other addresses, also to users of this host") {
    const auto map = with_table(
        "ann@old.example.com Ann@New.example.com\nroot ops@example.org\n"
        "app@mx.example.org robot\n");
    CHECK(map.address("ann@OLD.example.com") == "Ann@New.example.com");
    CHECK(map.address("root@mx.example.org") == "ops@example.org");
    CHECK(map.address("root@example.org") == "root@example.org");
    CHECK(map.address("app@mx.example.org") == "robot@mx.example.org");
    CHECK(map.address("bob@example.org") == "bob@example.org");
    CHECK(map.address("").empty());
}

TEST_CASE("masqueraded domains hide the hosts below them; the first that fits decides") {
    const SenderMap map("mx.example.org", {"!keep.Example.org", "sub.example.org", "Example.org"});
    CHECK(map.address("ann@host.example.org") == "ann@example.org");
    CHECK(map.address("ann@a.b.example.ORG") == "ann@example.org");
    CHECK(map.address("ann@a.sub.example.org") == "ann@sub.example.org");
    CHECK(map.address("ann@sub.example.org") == "ann@sub.example.org");
    CHECK(map.address("ann@keep.example.org") == "ann@keep.example.org");
    CHECK(map.address("ann@a.keep.example.org") == "ann@a.keep.example.org");
    CHECK(map.address("ann@example.org") == "ann@example.org");
    CHECK(map.address("ann@myexample.org") == "ann@myexample.org");
    CHECK(map.address("\"a@host.example.org\"@host.example.org") ==
          "\"a@host.example.org\"@example.org");
    CHECK(map.address("").empty());
}

TEST_CASE("what the table gives is not masqueraded") {
    const auto map = with_table("ann@a.example.org ann@b.example.org\n", {"example.org"});
    CHECK(map.address("ann@a.example.org") == "ann@b.example.org");
    CHECK(map.address("bob@a.example.org") == "bob@example.org");
}

TEST_CASE("of a header the senders' fields change, and in them the addresses alone") {
    const SenderMap map("mx.example.org", {"example.org"});
    CHECK(map.header("from: \"Ann, at a.example.org\" (ann@a.example.org)\r\n"
                     "\t<ann@a.example.org>,\r\n bob@b.example.org\r\n"
                     "To: eve@a.example.org\r\n"
                     "Reply-To: ann@a.example.org\r\n"
                     "X-From: ann@a.example.org\r\n"
                     "Sender:ann@a.example.org\r\n") ==
          "from: \"Ann, at a.example.org\" (ann@a.example.org)\r\n"
          "\t<ann@example.org>,\r\n bob@example.org\r\n"
          "To: eve@a.example.org\r\n"
          "Reply-To: ann@example.org\r\n"
          "X-From: ann@a.example.org\r\n"
          "Sender:ann@example.org\r\n");
}

TEST_CASE("rows that cannot be used are skipped with their lines") {
    SenderMap map("mx.example.org", {});
    std::vector<config::Problem> problems;
    map.add_table("ann\nbob not..good@example.org\ncarl carl@example.org\nCARL x@example.org\n",
                  "generics", problems);
    REQUIRE(problems.size() == 3);
    CHECK(problems[0].line == 1);
    CHECK(problems[1].line == 2);
    CHECK(problems[2].line == 4);
    CHECK(map.address("carl@mx.example.org") == "carl@example.org");
}
