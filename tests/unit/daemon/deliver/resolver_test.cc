#include "daemon/deliver/resolver.h"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::deliver;
using namespace posthorse::dns;

namespace {

using Names = std::vector<std::string>;

Destination to(const std::string& text) {
    return Destination::parse(text).value();
}

MxAnswer mx(std::vector<MxRecord> records) {
    return {LookupEnd::found, std::move(records), 300, {}};
}

AddressAnswer found(Names addresses) {
    return {LookupEnd::found, std::move(addresses), 300, {}};
}
AddressAnswer none(LookupEnd end) {
    return {end, {}, 0, end == LookupEnd::failed ? "timeout" : ""};
}

const AddressPolicy policy{.own_names = {"me.example", "me-too.example"}};

Names hosts_of(MxAnswer answer, std::uint32_t random = 0) {
    return std::get<Names>(plan_hosts(to("mx:d.example"), std::move(answer), policy, random));
}
Refusal refusal_of(MxAnswer answer, const std::string& destination = "mx:d.example") {
    return std::get<Refusal>(plan_hosts(to(destination), std::move(answer), policy, 0));
}

std::vector<Candidate> candidates_of(std::vector<HostAddresses> hosts,
                                     const std::string& destination = "mx:d.example",
                                     const AddressPolicy& with = policy) {
    return std::get<std::vector<Candidate>>(
        plan_candidates(to(destination), std::move(hosts), with, 7));
}
Refusal no_candidates(std::vector<HostAddresses> hosts,
                      const std::string& destination = "mx:d.example") {
    return std::get<Refusal>(plan_candidates(to(destination), std::move(hosts), policy, 7));
}

void check(const Refusal& refusal, OutcomeKind kind, EnhancedCode code, int smtp = 0) {
    CHECK(refusal.kind == kind);
    CHECK(refusal.reply.enhanced == code);
    CHECK(refusal.reply.code == smtp);
    CHECK_FALSE(refusal.reply.text.empty());
}

}  // namespace

TEST_CASE("MX hosts come in order of preference") {
    CHECK(hosts_of(mx({{30, "c.example"}, {10, "a.example"}, {20, "b.example"}})) ==
          Names{"a.example", "b.example", "c.example"});
}

TEST_CASE("hosts of one preference take turns") {
    std::set<std::string> first;
    for (std::uint32_t random = 0; random < 100; ++random) {
        const auto hosts =
            hosts_of(mx({{10, "a.example"}, {10, "b.example"}, {10, "c.example"}}), random * 77777);
        CHECK(hosts.size() == 3);
        first.insert(hosts.front());
    }
    CHECK(first.size() == 3);
}

TEST_CASE("a host named twice is looked up once, and at most ten are") {
    CHECK(hosts_of(mx({{10, "a.example"}, {20, "a.example"}})) == Names{"a.example"});
    std::vector<MxRecord> many;
    for (std::uint16_t i = 0; i < 100; ++i) many.push_back({i, "h" + std::to_string(i)});
    const auto hosts = hosts_of(mx(many));
    CHECK(hosts.size() == hosts_max);
    CHECK(hosts.back() == "h9");
}

TEST_CASE("without MX records the domain is its own mail host") {
    CHECK(hosts_of({LookupEnd::no_data, {}, 0, {}}) == Names{"d.example"});
}

TEST_CASE("a null MX refuses at once and for good") {
    check(refusal_of(mx({{0, ""}})), OutcomeKind::failed, {5, 1, 10}, 556);
    CHECK(hosts_of(mx({{0, ""}, {10, "a.example"}})) == Names{"a.example"});  // a mistake
}

TEST_CASE("a domain that does not exist refuses for good, DNS trouble defers") {
    check(refusal_of({LookupEnd::no_domain, {}, 0, {}}), OutcomeKind::failed, {5, 1, 2});
    check(refusal_of({LookupEnd::failed, {}, 0, "SERVFAIL"}), OutcomeKind::deferred, {4, 4, 3});
}

TEST_CASE("the node drops itself and what is not better; mail never loops") {
    CHECK(hosts_of(
              mx({{10, "a.example"}, {20, "me.example"}, {20, "b.example"}, {30, "c.example"}})) ==
          Names{"a.example"});
    CHECK(hosts_of(mx(
              {{5, "a.example"}, {10, "me.example"}, {7, "me-too.example"}, {8, "b.example"}})) ==
          Names{"a.example"});
    check(refusal_of(mx({{10, "me.example"}, {20, "a.example"}})), OutcomeKind::failed, {5, 4, 6});
    check(refusal_of({LookupEnd::no_data, {}, 0, {}}, "mx:me.example"), OutcomeKind::failed,
          {5, 4, 6});
}

TEST_CASE("a destination that a route names is never refused for good") {
    for (const auto& answer :
         {MxAnswer{LookupEnd::no_domain, {}, 0, {}}, mx({{0, ""}}), mx({{1, "me.example"}})}) {
        const auto refusal = refusal_of(answer, "smtp:d.example");
        CHECK(refusal.kind == OutcomeKind::deferred);
        CHECK(refusal.reply.enhanced.klass == 4);
        CHECK(refusal.reply.code == 0);
    }
    const HostAddresses missing{"h", none(LookupEnd::no_domain), none(LookupEnd::no_domain)};
    CHECK(no_candidates({missing}, "smtp:[h]:25").kind == OutcomeKind::deferred);
    CHECK(no_candidates({missing}, "lmtp:[h]:24").kind == OutcomeKind::deferred);
}

TEST_CASE("a route to mailboxes is spoken to in LMTP, on its own port") {
    CHECK(candidates_of({{"h", found({}), found({"10.0.0.1"})}}, "lmtp:[h]:24") ==
          std::vector<Candidate>{{"h", "10.0.0.1", 24, Protocol::lmtp}});
}

TEST_CASE("the families of a host take turns, and hosts keep their order") {
    const auto candidates = candidates_of(
        {{"a.example", found({"2001:db8::1", "2001:db8::2"}), found({"192.0.2.1", "192.0.2.2"})},
         {"b.example", none(LookupEnd::no_data), found({"192.0.2.9"})}});
    REQUIRE(candidates.size() == 5);
    CHECK(candidates[0].address.find("2001:") == 0);
    CHECK(candidates[1].address.find("192.0.2.") == 0);
    CHECK(candidates[2].address.find("2001:") == 0);
    CHECK(candidates[4] == Candidate{"b.example", "192.0.2.9", 25});
}

TEST_CASE("the port is the destination's, else the policy's") {
    const std::vector<HostAddresses> host{{"h", none(LookupEnd::no_data), found({"192.0.2.1"})}};
    CHECK(candidates_of(host, "smtp:[h]:2525").at(0).port == 2525);
    CHECK(candidates_of(host, "smtp:[h]", {.port = 26}).at(0).port == 26);
}

TEST_CASE("addresses are capped, in all and for each host") {
    std::vector<HostAddresses> hosts;
    for (int h = 0; h < 10; ++h) {
        Names addresses;
        for (int a = 0; a < 50; ++a) addresses.push_back("192.0.2." + std::to_string(a));
        hosts.push_back({"h" + std::to_string(h), none(LookupEnd::no_data), found(addresses)});
    }
    const auto candidates = candidates_of(hosts);
    CHECK(candidates.size() == addresses_max);
    CHECK(std::count_if(candidates.begin(), candidates.end(), [](const Candidate& candidate) {
              return candidate.host == "h0";
          }) == addresses_per_host_max);
}

TEST_CASE("private addresses are no candidates, unless allowed") {
    const std::vector<HostAddresses> mixed{
        {"h", found({"::1", "2001:db8::1"}), found({"127.0.0.1", "10.1.2.3"})}};
    const auto candidates = candidates_of(mixed);
    REQUIRE(candidates.size() == 1);
    CHECK(candidates[0].address == "2001:db8::1");
    CHECK(candidates_of(mixed, "mx:d.example", {.private_addresses = true}).size() == 4);
    CHECK(candidates_of(mixed, "smtp:[h]").size() == 4);
    check(no_candidates({{"h", none(LookupEnd::no_data), found({"127.0.0.1"})}}),
          OutcomeKind::failed, {5, 4, 4});
}

TEST_CASE("without addresses the reason decides") {
    const auto gone = none(LookupEnd::no_domain);
    const auto empty = none(LookupEnd::no_data);
    const auto broken = none(LookupEnd::failed);
    check(no_candidates({{"d.example", gone, gone}}), OutcomeKind::failed, {5, 1, 2});
    check(no_candidates({{"d.example", empty, empty}}), OutcomeKind::failed, {5, 1, 2});
    check(no_candidates({{"a.example", gone, gone}, {"b.example", empty, empty}}),
          OutcomeKind::failed, {5, 4, 4});
    check(no_candidates({{"a.example", gone, gone}, {"b.example", empty, broken}}),
          OutcomeKind::deferred, {4, 4, 3});
    // One family fails, the other is there: good enough.
    CHECK(candidates_of({{"a.example", broken, found({"192.0.2.1"})}}).size() == 1);
}

TEST_CASE("what counts as private") {
    for (const auto* address : {"0.0.0.0",
                                "0.1.2.3",
                                "10.0.0.1",
                                "100.64.0.1",
                                "100.127.255.255",
                                "127.0.0.1",
                                "127.255.255.254",
                                "169.254.169.254",
                                "172.16.0.1",
                                "172.31.255.255",
                                "192.0.0.8",
                                "192.168.1.1",
                                "198.18.0.1",
                                "198.19.255.255",
                                "224.0.0.1",
                                "240.0.0.1",
                                "255.255.255.255",
                                "::",
                                "::1",
                                "::127.0.0.1",
                                "::ffff:127.0.0.1",
                                "::ffff:10.0.0.1",
                                "64:ff9b::10.0.0.1",
                                "2002:7f00:1::",
                                "fc00::1",
                                "fd12:3456::1",
                                "fe80::1",
                                "fec0::1",
                                "ff02::1"}) {
        CHECK_MESSAGE(is_private(address), address);
    }
    for (const auto* address :
         {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.0.0.1",
          "128.0.0.1", "172.15.255.255", "172.32.0.0", "192.0.2.1", "192.167.0.1", "198.17.0.1",
          "198.20.0.1", "223.255.255.255", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1",
          "2002:101:101::", "2001:db8::1", "2a00:1450::1"}) {
        CHECK_MESSAGE(!is_private(address), address);
    }
}

TEST_CASE("what is an address") {
    for (const auto* text : {"192.0.2.1", "::1", "2001:db8::1"})
        CHECK_MESSAGE(is_address(text), text);
    for (const auto* text : {"", "192.0.2", "192.0.2.1.", "example.org", "0x7f.1", "::g", "1"}) {
        CHECK_MESSAGE(!is_address(text), text);
    }
}
