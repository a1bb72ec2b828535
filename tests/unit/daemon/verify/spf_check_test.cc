#include "daemon/verify/spf_check.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::verify;
using dns::LookupEnd;

namespace {

// A DNS of values: what no record stands for does not exist.
struct World {
    void txt(const std::string& name, const std::string& text) { add(RecordKind::txt, name, text); }
    void add(RecordKind kind, const std::string& name, const std::string& record) {
        auto& answer = answers[{kind, name}];
        answer.end = LookupEnd::found;
        answer.records.push_back(record);
    }
    void fails(RecordKind kind, const std::string& name) { answers[{kind, name}] = {}; }

    SpfVerdict check(const std::string& client = "192.0.2.1",
                     const std::string& domain = "a.example") {
        SpfFacts facts{.client = *parse_ip_address(client),
                       .client_text = client,
                       .helo = "mx.a.example",
                       .local_part = local_part,
                       .domain = domain};
        DnsAnswers known;
        asked = 0;
        while (true) {
            auto step = check_spf(facts, known);
            if (auto* verdict = std::get_if<SpfVerdict>(&step)) return *verdict;
            const auto& question = std::get<DnsQuestion>(step);
            REQUIRE_FALSE(known.contains(question));
            REQUIRE(++asked < 200);
            const auto found = answers.find(question);
            known[question] =
                found == answers.end() ? DnsAnswer{LookupEnd::no_domain, {}, 0, {}} : found->second;
        }
    }
    SpfResult result(const std::string& record, const std::string& client = "192.0.2.1") {
        answers.erase({RecordKind::txt, "a.example"});
        txt("a.example", "v=spf1 " + record);
        return check(client).result;
    }

    DnsAnswers answers;
    std::string local_part = "ann";
    int asked = 0;
};

}  // namespace

TEST_CASE("without a record, or a domain to have one, SPF says nothing") {
    World world;
    CHECK(world.check().result == SpfResult::none);
    world.txt("a.example", "something else");
    CHECK(world.check().result == SpfResult::none);
    const std::string long_label = std::string(64, 'a') + ".example";
    for (const std::string_view domain : std::initializer_list<std::string_view>{
             "", "localhost", "a..example", "[192.0.2.1]", long_label}) {
        CAPTURE(domain);
        CHECK(world.check("192.0.2.1", std::string(domain)).result == SpfResult::none);
        CHECK(world.asked == 0);
    }
}

TEST_CASE("a record is there, but cannot be relied on") {
    World world;
    world.fails(RecordKind::txt, "a.example");
    CHECK(world.check().result == SpfResult::temperror);
    world.answers.clear();
    world.txt("a.example", "v=spf1 +all");
    world.txt("a.example", "v=spf1 -all");
    CHECK(world.check().result == SpfResult::permerror);
    CHECK(world.result("ip4:192.0.2.1 nonsense") == SpfResult::permerror);
}

TEST_CASE("the first mechanism that matches decides") {
    World world;
    CHECK(world.result("ip4:192.0.2.0/24 -all") == SpfResult::pass);
    CHECK(world.result("ip4:198.51.100.0/24 -all") == SpfResult::fail);
    CHECK(world.result("~all") == SpfResult::softfail);
    CHECK(world.result("?all") == SpfResult::neutral);
    CHECK(world.result("+all") == SpfResult::pass);
    CHECK(world.result("-ip4:192.0.2.1 +all") == SpfResult::fail);
    CHECK(world.result("ip4:198.51.100.1") == SpfResult::neutral);
    CHECK(world.result("ip6:2001:db8::/32 -all", "2001:db8::7") == SpfResult::pass);
    CHECK(world.result("ip4:0.0.0.0/0 -all", "2001:db8::7") == SpfResult::fail);
}

TEST_CASE("addresses of hosts, in the family of the client") {
    World world;
    world.add(RecordKind::a, "a.example", "192.0.2.7");
    world.add(RecordKind::aaaa, "a.example", "2001:db8::1");
    CHECK(world.result("a -all") == SpfResult::fail);
    CHECK(world.result("a/24 -all") == SpfResult::pass);
    CHECK(world.result("a -all", "2001:db8::1") == SpfResult::pass);
    CHECK(world.result("a//64 -all", "2001:db8::9") == SpfResult::pass);
    world.add(RecordKind::mx, "a.example", "");
    world.add(RecordKind::mx, "a.example", "mx1.a.example");
    world.add(RecordKind::mx, "a.example", "mx2.a.example");
    world.add(RecordKind::a, "mx1.a.example", "192.0.2.8");
    world.add(RecordKind::a, "mx2.a.example", "192.0.2.1");
    CHECK(world.result("mx -all") == SpfResult::pass);
    CHECK(world.result("mx:b.example -all") == SpfResult::fail);
    world.fails(RecordKind::a, "mx1.a.example");
    CHECK(world.result("mx -all") == SpfResult::temperror);
}

TEST_CASE("include takes a pass only, redirect takes all") {
    World world;
    world.txt("pass.example", "v=spf1 ip4:192.0.2.1 -all");
    world.txt("fail.example", "v=spf1 -all");
    world.txt("error.example", "v=spf1 nonsense");
    world.fails(RecordKind::txt, "away.example");
    CHECK(world.result("include:pass.example -all") == SpfResult::pass);
    CHECK(world.result("-include:pass.example +all") == SpfResult::fail);
    CHECK(world.result("include:fail.example ~all") == SpfResult::softfail);
    CHECK(world.result("include:error.example +all") == SpfResult::permerror);
    CHECK(world.result("include:none.example +all") == SpfResult::permerror);
    CHECK(world.result("include:away.example +all") == SpfResult::temperror);
    CHECK(world.result("redirect=fail.example") == SpfResult::fail);
    CHECK(world.result("redirect=fail.example ip4:192.0.2.1") == SpfResult::pass);
    CHECK(world.result("redirect=none.example") == SpfResult::permerror);
    CHECK(world.result("redirect=a.example") == SpfResult::permerror);
    CHECK(world.result("include:a.example") == SpfResult::permerror);
}

TEST_CASE("ten terms may ask the DNS, whoever includes them") {
    World world;
    for (int i = 0; i < 12; ++i) {
        const auto next =
            i == 11 ? std::string("-all") : "include:i" + std::to_string(i + 1) + ".example";
        world.txt("i" + std::to_string(i) + ".example", "v=spf1 ip4:198.51.100.9 " + next);
    }
    CHECK(world.result("include:i2.example -all") == SpfResult::fail);
    CHECK(world.result("include:i1.example -all") == SpfResult::permerror);
    for (int i = 0; i < 11; ++i)
        world.add(RecordKind::a, "h" + std::to_string(i) + ".example", "198.51.100.1");
    std::string hosts;
    for (int i = 0; i < 10; ++i) hosts += "a:h" + std::to_string(i) + ".example ";
    CHECK(world.result(hosts + "-all") == SpfResult::fail);
    CHECK(world.result(hosts + "a:h10.example -all") == SpfResult::permerror);
}

TEST_CASE("two questions may be without an answer") {
    World world;
    CHECK(world.result("a:x1.example a:x2.example ip4:192.0.2.1 -all") == SpfResult::pass);
    CHECK(world.result("a:x1.example a:x2.example a:x3.example ip4:192.0.2.1 -all") ==
          SpfResult::permerror);
    CHECK(world.check().reason == "too many void lookups");
}

TEST_CASE("a domain with more than ten mail hosts is too much") {
    World world;
    for (int i = 0; i < 11; ++i)
        world.add(RecordKind::mx, "a.example", "m" + std::to_string(i) + ".example");
    CHECK(world.result("mx -all") == SpfResult::permerror);
}

TEST_CASE("names of an address count when they have the address") {
    World world;
    world.add(RecordKind::ptr, "192.0.2.1", "forged.a.example");
    world.add(RecordKind::a, "forged.a.example", "198.51.100.1");
    CHECK(world.result("ptr -all") == SpfResult::fail);
    world.add(RecordKind::ptr, "192.0.2.1", "host.a.example");
    world.add(RecordKind::a, "host.a.example", "192.0.2.1");
    CHECK(world.result("ptr -all") == SpfResult::pass);
    CHECK(world.result("ptr:b.example -all") == SpfResult::fail);
    CHECK(world.result("ptr:ost.a.example -all") == SpfResult::fail);
    world.add(RecordKind::a, "host.a.example.seen.example", "127.0.0.2");
    CHECK(world.result("exists:%{p}.seen.example -all") == SpfResult::pass);
    world.fails(RecordKind::ptr, "192.0.2.1");
    CHECK(world.result("ptr -all") == SpfResult::fail);
}

TEST_CASE("exists asks for an A record of a name made of macros") {
    World world;
    world.add(RecordKind::a, "1.2.0.192.ann.a.example", "127.0.0.2");
    CHECK(world.result("exists:%{ir}.%{l}.%{d} -all") == SpfResult::pass);
    world.local_part = "b\xc3\xb6";
    CHECK(world.result("exists:%{ir}.%{l}.%{d} -all") == SpfResult::fail);
    CHECK(world.result("exists:%{l}.a.example a:%{o} ip4:192.0.2.1 -all") == SpfResult::pass);
}
