#include "daemon/verify/spf_record.h"

#include <doctest/doctest.h>

#include "daemon/verify/spf_macro.h"

using namespace posthorse;
using namespace posthorse::verify;

namespace {

using Kind = SpfMechanism::Kind;

SpfRecord parsed(const std::string& terms) {
    const auto record = parse_spf_record("v=spf1" + terms);
    CAPTURE(terms);
    REQUIRE(record);
    return *record;
}

// The example of RFC 7208 section 7.4.
SpfMacroFacts example(const std::string& client = "192.0.2.3") {
    return {.local_part = "strong-bad",
            .sender_domain = "email.example.com",
            .domain = "email.example.com",
            .helo = "mx.example.org",
            .validated_name = "mx.example.org",
            .client = *parse_ip_address(client)};
}

}  // namespace

TEST_CASE("what claims to be an SPF record") {
    CHECK(is_spf_record("v=spf1"));
    CHECK(is_spf_record("V=SPF1 -all"));
    CHECK_FALSE(is_spf_record("v=spf10"));
    CHECK_FALSE(is_spf_record("v=spf1-all"));
    CHECK_FALSE(is_spf_record(" v=spf1"));
    CHECK_FALSE(is_spf_record("v=spf2.0/mfrom -all"));
}

TEST_CASE("mechanisms with qualifiers, domains and networks") {
    const auto record = parsed(
        "  +ip4:192.0.2.0/24 ~IP6:2001:db8::/32 ?a/24//64 mx:mail.example.org//48 "
        "include:_spf.%{d2} -exists:%{ir}.x.example ptr redirect=other.example  ");
    REQUIRE(record.mechanisms.size() == 7);
    const auto& all = record.mechanisms;
    CHECK(all[0].kind == Kind::ip4);
    CHECK(all[0].v4_bits == 24);
    CHECK(all[0].network == parse_ip_address("192.0.2.0"));
    CHECK(all[1].on_match == SpfResult::softfail);
    CHECK(all[1].v6_bits == 32);
    CHECK(all[2].on_match == SpfResult::neutral);
    CHECK(all[2].v4_bits == 24);
    CHECK(all[2].v6_bits == 64);
    CHECK(all[2].domain.empty());
    CHECK(all[3].kind == Kind::mx);
    CHECK(all[3].domain == "mail.example.org");
    CHECK(all[3].v4_bits == 32);
    CHECK(all[3].v6_bits == 48);
    CHECK(all[4].domain == "_spf.%{d2}");
    CHECK(all[5].on_match == SpfResult::fail);
    CHECK(all[6].kind == Kind::ptr);
    CHECK(record.redirect == "other.example");
}

TEST_CASE("a slash inside a macro is no prefix") {
    const auto record = parsed(" a:%{l/}.example.org/24 exists:%{s2/}");
    CHECK(record.mechanisms[0].domain == "%{l/}.example.org");
    CHECK(record.mechanisms[0].v4_bits == 24);
    CHECK(record.mechanisms[1].domain == "%{s2/}");
    const auto odd = parsed(" a:foo:bar/baz.example.com/24");
    CHECK(odd.mechanisms[0].domain == "foo:bar/baz.example.com");
    CHECK(odd.mechanisms[0].v4_bits == 24);
}

TEST_CASE("one term that breaks the grammar breaks the record") {
    for (const std::string terms : {" all:x.example",
                                    " include",
                                    " include:",
                                    " include:x",
                                    " exists",
                                    " nonsense",
                                    " ip4",
                                    " ip4:",
                                    " ip4:192.0.2",
                                    " ip4:192.0.2.0/33",
                                    " ip4:192.0.2.0/01",
                                    " ip4:::1",
                                    " ip6:192.0.2.1",
                                    " ip6:2001:db8::/129",
                                    " a:",
                                    " a/33",
                                    " a//129",
                                    " mx:x.example/",
                                    " a:x.example.123",
                                    " a:%{q}.example",
                                    " a:%{d0}.example",
                                    " a:%{d.example",
                                    " a:%d.example",
                                    " redirect=a.example redirect=b.example",
                                    " exp=a.example exp=b.example",
                                    " redirect=",
                                    " 1x=y",
                                    " a:%{c}.example",
                                    " -",
                                    " x=%"}) {
        CAPTURE(terms);
        CHECK_FALSE(parse_spf_record("v=spf1" + terms));
    }
    CHECK_FALSE(parse_spf_record("v=spf1 a\t-all"));
    CHECK_FALSE(parse_spf_record("v=spf1 \xc3\xa4=b"));
    CHECK_FALSE(parse_spf_record("v=spf1" + std::string(spf_record_bytes_max, ' ')));
}

TEST_CASE("modifiers that nobody knows are passed over") {
    CHECK(parsed(" moo=%{d} exp=why.example -all").mechanisms.size() == 1);
}

TEST_CASE("macros as RFC 7208 section 7.4 expands them") {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"%{s}", "strong-bad@email.example.com"},
        {"%{o}", "email.example.com"},
        {"%{d4}", "email.example.com"},
        {"%{d2}", "example.com"},
        {"%{dr}", "com.example.email"},
        {"%{d2r}", "example.email"},
        {"%{l-}", "strong.bad"},
        {"%{lr}", "strong-bad"},
        {"%{lr-}", "bad.strong"},
        {"%{l1r-}", "strong"},
        {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
        {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
        {"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
        {"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
        {"%{p}.%{h}", "mx.example.org.mx.example.org"},
        {"a%%b%_%-c", "a%b %20c"},
        {"%{S}", "strong-bad%40email.example.com"}};
    for (const auto& [macro, expanded] : cases) {
        CAPTURE(macro);
        REQUIRE(is_macro_string(macro));
        const auto name = expand_domain(macro, example());
        REQUIRE(name);
        CHECK(*name == (macro == "%{S}" ? "strong-bad%40email.example.com" : expanded));
    }
    CHECK(expand_domain("%{ir}.%{v}._spf.%{d2}", example("2001:db8::cb01")) ==
          "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com");
}

TEST_CASE("a name that is too long loses labels on the left, and one that none can be is none") {
    auto facts = example();
    facts.local_part = std::string(60, 'a') + '.' + std::string(60, 'b') + '.' +
                       std::string(60, 'c') + '.' + std::string(60, 'd');
    CHECK(expand_domain("%{l}.%{d}", facts) == facts.local_part.substr(61) + ".email.example.com");
    facts.local_part = "b\xc3\xb6";
    CHECK_FALSE(expand_domain("%{l}.example", facts));
    CHECK(expand_domain("%{o}", facts) == "email.example.com");
    facts.local_part = "a\\b";
    CHECK_FALSE(expand_domain("%{l}.example", facts));
    CHECK(names_validated_host("x.%{P}.example"));
    CHECK_FALSE(names_validated_host("x.%%{p}.example"));
}

TEST_CASE("networks, and an IPv4 address inside IPv6") {
    const auto in = [](const char* address, const char* network, unsigned bits) {
        return within(*parse_ip_address(address), *parse_ip_address(network), bits);
    };
    CHECK(in("192.0.2.255", "192.0.2.0", 24));
    CHECK_FALSE(in("192.0.3.0", "192.0.2.0", 24));
    CHECK(in("192.0.3.0", "192.0.2.0", 23));
    CHECK(in("8.8.8.8", "192.0.2.0", 0));
    CHECK(in("::ffff:192.0.2.1", "192.0.2.1", 32));
    CHECK(in("2001:db8::1", "2001:db8::2", 126));
    CHECK_FALSE(in("2001:db8::1", "2001:db8::2", 127));
    CHECK_FALSE(in("192.0.2.1", "::", 0));
    CHECK_FALSE(parse_ip_address("192.0.2"));
}
