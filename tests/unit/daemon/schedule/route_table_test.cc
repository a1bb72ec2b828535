#include "daemon/schedule/route_table.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include <doctest/doctest.h>

#include "proto/types/destination.h"

using namespace posthorse;
using schedule::RouteTable;

namespace {

RouteTable table_of(std::vector<config::Route> routes, RouteTable::Problems& problems) {
    RouteTable table;
    for (const auto& route : routes) table.add(route, "test.toml", 7, problems);
    return table;
}

}  // namespace

TEST_CASE("without a route the domain's own MX is the destination") {
    const RouteTable table;
    CHECK(table.destination_of("a@Example.ORG") == "mx:example.org");
    CHECK(table.destination_of("a@example.org.") == "mx:example.org");
    CHECK(table.destination_of("\"a@b\"@example.org") == "mx:example.org");
}

TEST_CASE("address literals are destinations of their own") {
    const RouteTable table;
    CHECK(table.destination_of("a@[192.0.2.1]") == "mx:[192.0.2.1]");
    CHECK(table.destination_of("a@[IPv6:2001:DB8::7]") == "mx:[2001:db8::7]");
}

TEST_CASE("an address that leads nowhere names no destination, and never a port") {
    const RouteTable table;
    for (const auto* address : {"postmaster", "a@", "a@b c", "a@[192.0.2.1", "a@host:25",
                                "a@[127.0.0.1]:25", "a@exa\tmple.org", "a@\xFF.org"}) {
        CHECK_MESSAGE(table.destination_of(address) == "mx:", address);
    }
}

TEST_CASE("domains beyond ASCII are those that the DNS knows") {
    RouteTable::Problems problems;
    const auto table =
        table_of({{"m\xC3\xA4il.example", "smtp:[one]"}, {".xn--mil-qla.example", "smtp:[below]"}},
                 problems);
    CHECK(problems.empty());
    CHECK(table.destination_of("a@xn--mil-qla.example") == "smtp:[one]");
    CHECK(table.destination_of("\xC3\xB6@M\xC3\x84IL.example") == "smtp:[one]");
    CHECK(table.destination_of("a@x.m\xC3\xA4il.example") == "smtp:[below]");
    CHECK(table.destination_of("a@\xC3\xBC.org") == "mx:xn--tda.org");
}

TEST_CASE("the exact domain wins, then the longest suffix, then everything") {
    RouteTable::Problems problems;
    const auto table = table_of({{"example.org", "smtp:[one]:2525"},
                                 {".example.org", "smtp:[two]"},
                                 {".deep.example.org", "esmtp:three:26"},
                                 {".", "relay:[2001:db8::1]:25"}},
                                problems);
    CHECK(problems.empty());
    CHECK(table.destination_of("a@example.org") == "smtp:[one]:2525");
    CHECK(table.destination_of("a@EXAMPLE.org.") == "smtp:[one]:2525");
    CHECK(table.destination_of("a@x.example.org") == "smtp:[two]");
    CHECK(table.destination_of("a@deep.example.org") == "smtp:[two]");
    CHECK(table.destination_of("a@y.deep.example.org") == "smtp:three:26");
    CHECK(table.destination_of("a@notexample.org") == "smtp:[2001:db8::1]:25");
}

TEST_CASE("rows that cannot be used are skipped, with what to do, and the rest is used") {
    RouteTable::Problems problems;
    const auto table = table_of({{"", "smtp:[a]"},
                                 {"exa mple.org", "smtp:[a]"},
                                 {"..org", "smtp:[a]"},
                                 {"a.example", "local:"},
                                 {"b.example", "smtp:[a]:0"},
                                 {"c.example", "smtp:[a]:65536"},
                                 {"d.example", "smtp:[a]25"},
                                 {"e.example", "smtp:[a"},
                                 {"f.example", "smtp:"},
                                 {"good.example", "smtp:[a]:65535"},
                                 {"GOOD.example", "smtp:[b]"}},
                                problems);
    CHECK(problems.size() == 10);
    for (const auto& problem : problems) {
        CHECK(problem.file == "test.toml");
        CHECK(problem.line == 7);
        CHECK_FALSE(problem.fatal);
        CHECK(problem.what.find("skipped") != std::string::npos);
    }
    CHECK(table.size() == 1);
    CHECK(table.destination_of("a@good.example") == "smtp:[a]:65535");
}

TEST_CASE("sendmail's mailertable is read as it is") {
    RouteTable::Problems problems;
    RouteTable table;
    table.add_mailertable(
        "# our routes\n"
        "\n"
        "example.org\tesmtp:[mail.example.org]:2525\r\n"
        ".example.org   smtp:[192.0.2.1]\n"
        "broken.example\n"
        "  indented.example esmtp:relay.example  # why\n"
        "three.example a b\n"
        "box.example lmtp:[box.example.org]:24\n"
        "here.example lmtp:unix:/run/dovecot/lmtp\n"
        "nowhere.example lmtp:[box.example.org]\n"
        "last.example\trelay:[x]",
        "/etc/mail/mailertable", problems);
    CHECK(table.size() == 6);
    CHECK(table.destination_of("a@box.example") == "lmtp:[box.example.org]:24");
    CHECK(table.destination_of("a@here.example") == "lmtp:unix:/run/dovecot/lmtp");
    CHECK(table.destination_of("a@example.org") == "smtp:[mail.example.org]:2525");
    CHECK(table.destination_of("a@b.example.org") == "smtp:[192.0.2.1]");
    CHECK(table.destination_of("a@indented.example") == "smtp:relay.example");
    CHECK(table.destination_of("a@last.example") == "smtp:[x]");
    REQUIRE(problems.size() == 3);
    CHECK(problems[0].line == 5);
    CHECK(problems[1].line == 7);
    CHECK(problems[2].line == 10);
    CHECK(problems[2].what.find("lmtp:[host]:port") != std::string::npos);
    CHECK(problems[0].file == "/etc/mail/mailertable");
}

TEST_CASE("routes of the configuration come before those of the file") {
    char path[] = "/tmp/posthorse-routes-XXXXXX";
    const int descriptor = mkstemp(path);
    REQUIRE(descriptor >= 0);
    close(descriptor);
    std::ofstream(path) << "example.org smtp:[file]\nother.example smtp:[file]\n";
    config::Delivery delivery;
    delivery.routes = {{"example.org", "smtp:[config]"}};
    delivery.routes_file = path;
    RouteTable::Problems problems;
    const auto table = RouteTable::load(delivery, problems);
    unlink(path);
    CHECK(table.destination_of("a@example.org") == "smtp:[config]");
    CHECK(table.destination_of("a@other.example") == "smtp:[file]");
    CHECK(problems.size() == 1);  // the file's row for example.org came second

    problems.clear();
    RouteTable::load(delivery, problems);  // the file is gone
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].fatal);
}

TEST_CASE("a destination survives text") {
    for (const auto* text :
         {"mx:example.org", "mx:[192.0.2.1]", "mx:[2001:db8::1]", "smtp:[mail.example.org]:2525",
          "smtp:mail.example.org:26", "smtp:[2001:db8::1]:25", "smtp:[a_b-c]",
          "lmtp:[mail.example.org]:24", "lmtp:[::1]:2003", "lmtp:unix:/run/Dovecot/lmtp"}) {
        const auto destination = Destination::parse(text);
        REQUIRE_MESSAGE(destination, text);
        CHECK(destination->to_string() == text);
    }
    // LMTP has no default port, and no MX hosts.
    for (const auto* text :
         {"", "mx:", "smtp:", "smtp:[]", "mx:a b", "smtp:[a]:", "smtp:[a]:+5", "smtp:[a]x",
          "mx:a:b:c", "lmtp:", "lmtp:[a]", "lmtp:a:24", "lmtp:a", "lmtp:unix:", "lmtp:unix:run",
          "lmtp:unix:/run/a b", "smtp:unix:/run/a"}) {
        CHECK_MESSAGE(!Destination::parse(text), text);
    }
    CHECK(Destination::parse("lmtp:unix:/" + std::string(106, 'x')));
    CHECK_FALSE(Destination::parse("lmtp:unix:/" + std::string(107, 'x')));
    const auto box = Destination::parse("lmtp:[Box.example.org]:24").value();
    CHECK(box == Destination{.host = "box.example.org",
                             .exact = true,
                             .routed = true,
                             .port = 24,
                             .protocol = Protocol::lmtp});
}
