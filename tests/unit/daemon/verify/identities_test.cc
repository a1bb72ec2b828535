#include "daemon/verify/identities.h"

#include <doctest/doctest.h>

#include "daemon/verify/findings.h"

using namespace posthorse;
using namespace posthorse::verify;

namespace {

Author author(const std::string& section) {
    return author_of(mail::parse_header(section));
}

}  // namespace

TEST_CASE("SPF looks at the sender, and at HELO when there is none") {
    const auto facts = spf_facts({"192.0.2.1", "MX.Example.net", "ann@M\xc3\xa4il.Example"});
    REQUIRE(facts);
    CHECK(facts->domain == "xn--mil-qla.example");
    CHECK(facts->local_part == "ann");
    CHECK(facts->helo == "mx.example.net");
    const auto null_sender = spf_facts({"2001:db8::1", "MX.Example.net.", ""});
    CHECK(null_sender->domain == "mx.example.net");
    CHECK(null_sender->local_part == "postmaster");
    CHECK(spf_facts({"192.0.2.1", "x", "postmaster"})->domain.empty());
    CHECK(spf_facts({"192.0.2.1", "x", "\"a@b\"@c.example"})->local_part == "\"a@b\"");
    CHECK_FALSE(spf_facts({"nobody", "x", ""}));
}

TEST_CASE("DMARC looks at the one author") {
    CHECK(author("From: Ann <ann@Example.ORG>\r\n").domain == "example.org");
    CHECK(author("from: ann@example.org, bob@EXAMPLE.org\r\n").domain == "example.org");
    CHECK(author("From: \"x@y.example\" <ann@m\xc3\xa4il.example>\r\n").domain ==
          "xn--mil-qla.example");
    CHECK(author("To: a@b\r\n").fault == "no From field");
    CHECK(author("From: a@example.org\r\nFROM: a@example.org\r\n").fault == "several From fields");
    CHECK(author("From: a@example.org, b@example.net\r\n").fault ==
          "authors of several domains in From");
    CHECK(author("From: nobody\r\n").fault == "no address in From");
    CHECK(author("From: a@[192.0.2.1]\r\n").fault == "no domain name in From");
}

TEST_CASE("what was found becomes results: dkim, spf, dmarc") {
    Findings findings;
    findings.session = {"192.0.2.1", "mx.example.net", "ann@example.net"};
    findings.spf = {SpfResult::softfail, {}};
    findings.dmarc = {DmarcResult::fail, {}, "example.org", DmarcPolicy::reject};
    findings.dkim = {{sign::DkimResult::pass, "example.org", "s1", "rsa-sha256", "abcdefghij", {}},
                     {sign::DkimResult::fail, "example.net", "s2", "rsa-sha256", "zy", "changed"}};
    CHECK(mail::authentication_results_field("mx.example.org", to_results(findings)) ==
          "Authentication-Results: mx.example.org;\r\n"
          "\tdkim=pass header.d=example.org header.s=s1 header.a=rsa-sha256\r\n"
          "\theader.b=abcdefgh;\r\n"
          "\tdkim=fail reason=\"changed\" header.d=example.net header.s=s2\r\n"
          "\theader.a=rsa-sha256 header.b=zy;\r\n"
          "\tspf=softfail smtp.mailfrom=ann@example.net;\r\n"
          "\tdmarc=fail header.from=example.org policy.dmarc=reject\r\n");
    CHECK(dkim_words(findings.dkim) == "pass,fail");
    findings.session.sender.clear();
    findings.dkim.clear();
    const auto field = mail::authentication_results_field("mx", to_results(findings));
    CHECK(field.find("dkim=none;") != std::string::npos);
    CHECK(field.find("spf=softfail smtp.helo=mx.example.net;") != std::string::npos);
}

TEST_CASE("what counts for DMARC: passes, and what is open") {
    const SpfFacts facts{.domain = "example.net"};
    const std::vector<sign::DkimVerdict> dkim{
        {sign::DkimResult::pass, "Example.ORG", {}, {}, {}, {}},
        {sign::DkimResult::fail, "bad.example", {}, {}, {}, {}}};
    const auto both = authenticated_by(facts, {SpfResult::pass, {}}, dkim);
    CHECK(both.spf_domain == "example.net");
    CHECK(both.dkim_domains == std::vector<std::string>{"example.org"});
    CHECK_FALSE(both.temporary_trouble);
    CHECK(authenticated_by(facts, {SpfResult::temperror, {}}, {}).temporary_trouble);
    CHECK(authenticated_by(facts, {SpfResult::softfail, {}}, {}).spf_domain.empty());
}
