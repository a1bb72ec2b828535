#include "daemon/verify/dmarc.h"

#include <doctest/doctest.h>

#include "daemon/verify/public_suffixes.h"
#include "tests/unit/support/temporary_directory.h"

using namespace posthorse;
using namespace posthorse::verify;
using dns::LookupEnd;

namespace {

const PublicSuffixes& suffixes() {
    static const auto list = PublicSuffixes::load("");
    REQUIRE(list.has_value());
    return **list;
}

std::string organization_of(const std::string& domain) {
    return suffixes().organization_of(domain);
}

DnsAnswer texts(std::vector<std::string> records) {
    const auto end = records.empty() ? LookupEnd::no_domain : LookupEnd::found;
    return {end, std::move(records), 0, {}};
}

// What is published for `from`, with these records at it and at its organization.
DmarcPublished published(const std::string& from,
                         std::vector<std::string> own,
                         std::vector<std::string> of_organization = {}) {
    DnsAnswers answers;
    answers[{RecordKind::txt, "_dmarc." + organization_of(from)}] = texts(of_organization);
    answers[{RecordKind::txt, "_dmarc." + from}] = texts(own);
    auto step = find_dmarc_record(from, organization_of(from), answers);
    REQUIRE(std::holds_alternative<DmarcPublished>(step));
    return std::get<DmarcPublished>(step);
}

DmarcResult result(const std::string& record,
                   const std::string& from,
                   const Authenticated& authenticated) {
    return judge_dmarc(published(from, {record}), from, authenticated, organization_of).result;
}

}  // namespace

TEST_CASE("what claims to be a DMARC record, and what it says") {
    CHECK(is_dmarc_record("v=DMARC1"));
    CHECK(is_dmarc_record("v = DMARC1 ; p=none"));
    CHECK_FALSE(is_dmarc_record("p=none; v=DMARC1"));
    CHECK_FALSE(is_dmarc_record("v=dmarc1; p=none"));
    CHECK_FALSE(is_dmarc_record("v=DMARC12; p=none"));
    const auto record = parse_dmarc_record("v=DMARC1; p=reject;sp = quarantine; adkim=s; aspf=r;");
    REQUIRE(record);
    CHECK(record->policy == DmarcPolicy::reject);
    CHECK(record->subdomain_policy == DmarcPolicy::quarantine);
    CHECK(record->dkim == Alignment::strict);
    CHECK(record->spf == Alignment::relaxed);
}

TEST_CASE("a record without a valid policy counts when it asks for reports") {
    CHECK_FALSE(parse_dmarc_record("v=DMARC1; p=rej"));
    CHECK_FALSE(parse_dmarc_record("v=DMARC1; adkim=s"));
    CHECK_FALSE(parse_dmarc_record("v=DMARC1; p=none; sp=what"));
    const auto record = parse_dmarc_record("v=DMARC1; p=what; rua=mailto:d@example.org");
    REQUIRE(record);
    CHECK(record->policy == DmarcPolicy::none);
}

TEST_CASE("the organization of a domain, by the list of public suffixes") {
    CHECK(organization_of("mail.example.org") == "example.org");
    CHECK(organization_of("a.b.example.co.uk") == "example.co.uk");
    CHECK(organization_of("co.uk") == "co.uk");
    CHECK(organization_of("x.a.b.kawasaki.jp") == "a.b.kawasaki.jp");
    CHECK(organization_of("x.city.kawasaki.jp") == "city.kawasaki.jp");
    CHECK(organization_of("a.posthorse.test") == "posthorse.test");
    CHECK(organization_of("a.xn--bcher-kva.example") == "xn--bcher-kva.example");
}

TEST_CASE("a list that is none is refused by name") {
    tests::TemporaryDirectory place;
    const auto list = PublicSuffixes::load(place.path() + "/none");
    REQUIRE_FALSE(list.has_value());
    CHECK(list.error().what.find("/none: no list of public suffixes") != std::string::npos);
}

TEST_CASE("alignment, relaxed and strict") {
    const Authenticated by_dkim{.dkim_domains = {"other.example", "mail.example.org"}};
    CHECK(result("v=DMARC1; p=none", "example.org", by_dkim) == DmarcResult::pass);
    CHECK(result("v=DMARC1; p=none", "news.example.org", by_dkim) == DmarcResult::pass);
    CHECK(result("v=DMARC1; p=none; adkim=s", "example.org", by_dkim) == DmarcResult::fail);
    CHECK(result("v=DMARC1; p=none; adkim=s", "mail.example.org", by_dkim) == DmarcResult::pass);
    CHECK(result("v=DMARC1; p=none; aspf=s", "example.org", by_dkim) == DmarcResult::pass);
    const Authenticated by_spf{.spf_domain = "mail.example.org"};
    CHECK(result("v=DMARC1; p=none", "example.org", by_spf) == DmarcResult::pass);
    CHECK(result("v=DMARC1; p=none; aspf=s", "example.org", by_spf) == DmarcResult::fail);
    CHECK(result("v=DMARC1; p=none", "example.net", by_spf) == DmarcResult::fail);
}

TEST_CASE("neighbours below a public suffix are not aligned, nor is the suffix itself") {
    const Authenticated neighbour{.dkim_domains = {"evil.co.uk", "co.uk", "uk"}};
    CHECK(result("v=DMARC1; p=none", "bank.co.uk", neighbour) == DmarcResult::fail);
    const Authenticated city{.dkim_domains = {"x.b.kawasaki.jp"}};
    CHECK(result("v=DMARC1; p=none", "y.b.kawasaki.jp", city) == DmarcResult::fail);
}

TEST_CASE("what could not be found out leaves a failure open, and no pass") {
    const Authenticated unknown{.temporary_trouble = true};
    CHECK(result("v=DMARC1; p=none", "example.org", unknown) == DmarcResult::temperror);
    const Authenticated good{.spf_domain = "example.org", .temporary_trouble = true};
    CHECK(result("v=DMARC1; p=none", "example.org", good) == DmarcResult::pass);
}

TEST_CASE("the record of the organization counts for its subdomains") {
    const std::string record = "v=DMARC1; p=reject; sp=quarantine";
    const auto found = published("a.example.org", {}, {record});
    const auto below = judge_dmarc(found, "a.example.org", {}, organization_of);
    CHECK(below.result == DmarcResult::fail);
    CHECK(below.policy == DmarcPolicy::quarantine);
    const auto itself =
        judge_dmarc(published("example.org", {record}), "example.org", {}, organization_of);
    CHECK(itself.policy == DmarcPolicy::reject);
    const auto without_sp = judge_dmarc(published("a.example.org", {}, {"v=DMARC1; p=reject"}),
                                        "a.example.org", {}, organization_of);
    CHECK(without_sp.policy == DmarcPolicy::reject);
    const auto own = judge_dmarc(published("a.example.org", {"v=DMARC1; p=none"}, {record}),
                                 "a.example.org", {}, organization_of);
    CHECK(own.policy == DmarcPolicy::none);
}

TEST_CASE("no record, several, a broken one, and no answer") {
    const auto end_of = [](std::vector<std::string> own) {
        return judge_dmarc(published("example.org", std::move(own)), "example.org", {},
                           organization_of)
            .result;
    };
    CHECK(end_of({}) == DmarcResult::none);
    CHECK(end_of({"v=spf1 -all"}) == DmarcResult::none);
    CHECK(end_of({"v=DMARC1; p=none", "v=DMARC1; p=reject"}) == DmarcResult::none);
    CHECK(end_of({"v=DMARC1; p="}) == DmarcResult::permerror);
    DnsAnswers answers{{{RecordKind::txt, "_dmarc.example.org"}, DnsAnswer{}}};
    const auto step = find_dmarc_record("example.org", "example.org", answers);
    CHECK(std::get<DmarcPublished>(step).absence == DmarcResult::temperror);
    CHECK(std::get<DnsQuestion>(find_dmarc_record("example.org", "example.org", {})).name ==
          "_dmarc.example.org");
}
