#include "daemon/runtime/idn.h"

#include <doctest/doctest.h>

using namespace posthorse::runtime;

TEST_CASE("domains as the DNS knows them") {
    CHECK(to_a_labels("m\xC3\xA4il.example") == "xn--mil-qla.example");
    CHECK(to_a_labels("M\xC3\x84IL.Example") == "xn--mil-qla.example");
    CHECK(to_a_labels("stra\xC3\x9F"
                      "e.example") == "xn--strae-oqa.example");
    CHECK(to_a_labels("\xE4\xBE\x8B\xE3\x80\x82\xE4\xBE\x8B") == "xn--fsq.xn--fsq");  // U+3002
    // A letter and its accent apart.
    CHECK(to_a_labels("ma\xCC\x88il.example") == to_a_labels("m\xC3\xA4il.example"));
}

TEST_CASE("ASCII stays as it is, also what no look-up would find") {
    for (const auto* name : {"", "example.org", "Under_Score.Example", "[192.0.2.1]", "a..b"}) {
        CHECK(to_a_labels(name) == name);
    }
}

TEST_CASE("what is no domain name") {
    std::string long_label;
    while (long_label.size() < 200) long_label += "\xC3\xA4";
    for (const std::string& bad :
         {std::string("\xFF.example"), std::string("\xC2\x85.example"), long_label + ".example"}) {
        CHECK_FALSE(to_a_labels(bad));
    }
}

TEST_CASE("addresses keep their local part") {
    CHECK(with_a_labels("b\xC3\xB6@m\xC3\xA4il.example") == "b\xC3\xB6@xn--mil-qla.example");
    CHECK(with_a_labels("bob@example.org") == "bob@example.org");
    CHECK(with_a_labels("postmaster") == "postmaster");
}
