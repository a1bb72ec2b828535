#include "daemon/verify/verification.h"

#include <doctest/doctest.h>

#include <future>
#include <optional>

#include "daemon/runtime/system_clock.h"
#include "daemon/verify/verifier.h"
#include "tests/unit/daemon/dns/dns_server.h"
#include "tests/unit/support/running_shard.h"

using namespace posthorse;
using namespace posthorse::verify;
using tests::DnsServer;
using namespace std::chrono_literals;

namespace {

const std::string head = "From: Ann <ann@example.org>\r\nSubject: hello\r\n";
// Well formed, and of no key that exists: its key is asked for.
const std::string signature =
    "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s1; h=from; bh=YQ==; b=YQ==\r\n";

struct Fixture {
    explicit Fixture(Verifier::Settings wanted = {}) : settings(std::move(wanted)) {
        settings.dns.servers = {server.address()};
        settings.dns.timeout = 100ms;
        settings.authserv_id = "mx.example.net";
        on_shard([this] {
            verifier.emplace(std::vector<runtime::Shard*>{&shard.get()}, settings, clock, metrics);
        });
    }
    ~Fixture() {
        on_shard([this] { verifier.reset(); });
    }

    template <class Work>
    void on_shard(Work work) {
        std::promise<void> done;
        shard.get().post([&] {
            work();
            done.set_value();
        });
        done.get_future().wait();
    }

    Result<Findings> verify(std::string header, std::string body = "hello\r\n") {
        std::optional<Result<Findings>> found;
        shard.run(run(*this, std::move(header), std::move(body), found));
        REQUIRE(found.has_value());
        return *found;
    }

    static runtime::asio::awaitable<void> run(Fixture& fixture,
                                              std::string header,
                                              std::string body,
                                              std::optional<Result<Findings>>& found) {
        auto begun = fixture.verifier->begin(fixture.session);
        if (!begun) {
            found = begun.error();
            co_return;
        }
        (*begun)->header(mail::parse_header(header));
        (*begun)->body(body);
        found = co_await (*begun)->finish();
    }

    DnsServer server;
    Verifier::Settings settings;
    SessionFacts session{"192.0.2.1", "mx.example.org", "ann@example.org"};
    runtime::SystemClock clock;
    runtime::Metrics metrics;
    tests::RunningShard shard;
    std::optional<Verifier> verifier;
};

}  // namespace

TEST_CASE("SPF, DKIM and DMARC are found out together") {
    Fixture fixture;
    REQUIRE(fixture.verifier->load().empty());
    fixture.server.add("example.org", DnsServer::make_txt({"v=spf1 mx -all"}));
    fixture.server.add("example.org", DnsServer::make_mx(10, "mx.example.org"));
    fixture.server.add("mx.example.org", DnsServer::make_a("192.0.2.1"));
    fixture.server.add("_dmarc.example.org", DnsServer::make_txt({"v=DMARC1; p=reject"}));
    const auto found = fixture.verify(signature + head);
    REQUIRE(found.has_value());
    CHECK(found->spf.result == SpfResult::pass);
    REQUIRE(found->dkim.size() == 1);
    CHECK(found->dkim[0].result == sign::DkimResult::permerror);
    CHECK(found->dkim[0].reason == "no key");
    CHECK(found->dmarc.result == DmarcResult::pass);
    CHECK(fixture.verifier->field(*found).starts_with(
        "Authentication-Results: mx.example.net;\r\n\tdkim=permerror reason=\"no key\""));
    CHECK(fixture.metrics.text().find("posthorse_verification_results_total{method=\"spf\","
                                      "result=\"pass\"} 1") != std::string::npos);
}

TEST_CASE("a DNS that says nothing is a result, not a refusal") {
    Fixture fixture;
    REQUIRE(fixture.verifier->load().empty());
    for (const auto mode : {DnsServer::Mode::silent, DnsServer::Mode::servfail}) {
        fixture.server.mode = mode;
        const auto found = fixture.verify(signature + head);
        REQUIRE(found.has_value());
        CHECK(found->spf.result == SpfResult::temperror);
        CHECK(found->dkim.at(0).result == sign::DkimResult::temperror);
        CHECK(found->dmarc.result == DmarcResult::temperror);
    }
}

TEST_CASE("what the DNS has not said in time is not waited for") {
    Fixture fixture({.dns_patience = 0ms});
    REQUIRE(fixture.verifier->load().empty());
    fixture.server.mode = DnsServer::Mode::silent;
    const auto found = fixture.verify(signature + head);
    REQUIRE(found.has_value());
    CHECK(found->spf.result == SpfResult::temperror);
    CHECK(found->dkim.at(0).result == sign::DkimResult::temperror);
    CHECK(found->dmarc.result == DmarcResult::temperror);
}

TEST_CASE("a message without an author has no DMARC result but an error") {
    Fixture fixture;
    REQUIRE(fixture.verifier->load().empty());
    fixture.session.sender.clear();
    const auto found = fixture.verify("Subject: x\r\n");
    REQUIRE(found.has_value());
    CHECK(found->dmarc.result == DmarcResult::permerror);
    CHECK(found->dmarc.reason == "no From field");
    CHECK(found->spf.result == SpfResult::none);
    CHECK(fixture.verifier->field(*found).find("smtp.helo=mx.example.org") != std::string::npos);
}

TEST_CASE("without its list, its turn or its time, verification is unavailable") {
    Fixture fixture;
    const auto without_list = fixture.verify(head);
    REQUIRE_FALSE(without_list.has_value());
    CHECK(without_list.error().code == Errc::unavailable);
    Fixture crowded({.waiting_max = 0});
    REQUIRE(crowded.verifier->load().empty());
    CHECK(crowded.verify(head).has_value());  // without a signature there is no turn to wait for
    const auto without_turn = crowded.verify(signature + head);
    REQUIRE_FALSE(without_turn.has_value());
    CHECK(without_turn.error().what == "too many messages wait to be verified");
}

TEST_CASE("a list that cannot be read is named, and the one of before stays") {
    Fixture fixture({.public_suffixes = "/nowhere/list"});
    const auto problems = fixture.verifier->load();
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].to_string().find("/nowhere/list") != std::string::npos);
    CHECK_FALSE(fixture.verify(head).has_value());
}

TEST_CASE("forged fields are ours in every way that the name is written") {
    Fixture fixture;
    const auto kept = fixture.verifier->without_forged(mail::parse_header(
        "Authentication-Results: MX.Example.NET.; spf=pass\r\nAuthentication-Results: "
        "other.example; spf=pass\r\nAuthentication-Results: (c) \"mx.example.net\"; spf=pass\r\n"));
    CHECK(kept == "Authentication-Results: other.example; spf=pass\r\n");
    CHECK(fixture.metrics.text().find("posthorse_verification_forged_fields_total 2") !=
          std::string::npos);
}

TEST_CASE("forged fields in the form for UTF-8 are ours, too") {
    Fixture fixture;
    runtime::Metrics metrics;
    auto settings = fixture.settings;
    settings.authserv_id = "xn--mil-qla.example";
    std::optional<Verifier> other;
    fixture.on_shard([&] {
        other.emplace(std::vector<runtime::Shard*>{&fixture.shard.get()}, settings, fixture.clock,
                      metrics);
    });
    CHECK(other->without_forged(mail::parse_header(
              "Authentication-Results: M\xc3\x84IL.example; spf=pass\r\nAuthentication-Results: "
              "xn--mil-qla.Example; spf=pass\r\n")) == "");
    fixture.on_shard([&] { other.reset(); });
}

TEST_CASE("a verification that nobody waits for any more ends without a trace") {
    Fixture fixture;
    REQUIRE(fixture.verifier->load().empty());
    fixture.server.mode = DnsServer::Mode::silent;
    fixture.on_shard([&] {
        auto begun = fixture.verifier->begin(fixture.session);
        REQUIRE(begun.has_value());
        (*begun)->header(mail::parse_header(signature + head));
    });
    fixture.server.mode = DnsServer::Mode::answer;
    const auto found = fixture.verify(head);
    REQUIRE(found.has_value());
    CHECK(found->spf.result == SpfResult::none);
}
