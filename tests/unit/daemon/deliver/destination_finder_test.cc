#include "daemon/deliver/destination_finder.h"

#include <optional>

#include <doctest/doctest.h>

#include "tests/unit/daemon/dns/dns_server.h"
#include "tests/unit/support/manual_clock.h"
#include "tests/unit/support/running_shard.h"

using namespace posthorse;
using namespace posthorse::deliver;
using namespace std::chrono_literals;
using tests::DnsServer;

namespace {

boost::asio::awaitable<void> find_into(DestinationFinder* finder,
                                       std::string destination,
                                       DestinationFinder::Candidates* found) {
    *found = co_await finder->find(std::move(destination));
}

struct Fixture {
    ~Fixture() {
        std::promise<void> gone;
        shard.get().post([&] {
            finder.reset();
            dns.reset();
            gone.set_value();
        });
        gone.get_future().wait();
    }
    DestinationFinder::Candidates find(const std::string& destination) {
        if (!dns) {
            dns.emplace(shard.get(), dns::DnsResolver::Settings{{server.address()}, 5s, 2});
            finder.emplace(*dns, clock, policy, [] { return 0u; });
        }
        DestinationFinder::Candidates found;
        shard.run(find_into(&*finder, destination, &found));
        return found;
    }
    std::vector<Candidate> candidates(const std::string& destination) {
        return std::get<std::vector<Candidate>>(find(destination));
    }
    Refusal refusal(const std::string& destination) { return std::get<Refusal>(find(destination)); }

    DnsServer server;
    tests::ManualClock clock;
    AddressPolicy policy{.own_names = {"me.example"}};
    tests::RunningShard shard;
    std::optional<dns::DnsResolver> dns;
    std::optional<DestinationFinder> finder;
};

}  // namespace

TEST_CASE("a domain is found by its MX hosts, in order") {
    Fixture fixture;
    fixture.server.add("d.example", DnsServer::make_mx(20, "b.example"));
    fixture.server.add("d.example", DnsServer::make_mx(10, "a.example"));
    fixture.server.add("a.example", DnsServer::make_a("192.0.2.1"));
    fixture.server.add("b.example", DnsServer::make_aaaa("2001:db8::2"));
    CHECK(fixture.candidates("mx:d.example") ==
          std::vector<Candidate>{{"a.example", "192.0.2.1", 25}, {"b.example", "2001:db8::2", 25}});
}

TEST_CASE("a domain without MX is found by its address") {
    Fixture fixture;
    fixture.server.add("d.example", DnsServer::make_a("192.0.2.1"));
    CHECK(fixture.candidates("mx:d.example") ==
          std::vector<Candidate>{{"d.example", "192.0.2.1", 25}});
}

TEST_CASE("a host in brackets is not asked for its MX") {
    Fixture fixture;
    fixture.server.add("h.example", DnsServer::make_mx(10, "other.example"));
    fixture.server.add("h.example", DnsServer::make_a("127.0.0.1"));
    CHECK(fixture.candidates("smtp:[h.example]:2525") ==
          std::vector<Candidate>{{"h.example", "127.0.0.1", 2525}});
    CHECK(fixture.server.questions() == 2);
}

TEST_CASE("addresses need no DNS; a stranger's literal must be public") {
    Fixture fixture;
    CHECK(fixture.candidates("mx:[192.0.2.1]") ==
          std::vector<Candidate>{{"192.0.2.1", "192.0.2.1", 25}});
    CHECK(fixture.candidates("smtp:[127.0.0.1]:2525") ==
          std::vector<Candidate>{{"127.0.0.1", "127.0.0.1", 2525}});
    CHECK(fixture.candidates("lmtp:[127.0.0.1]:24") ==
          std::vector<Candidate>{{"127.0.0.1", "127.0.0.1", 24, Protocol::lmtp}});
    CHECK(fixture.candidates("lmtp:unix:/run/lmtp") ==
          std::vector<Candidate>{{"/run/lmtp", "/run/lmtp", 0, Protocol::lmtp, true}});
    CHECK(fixture.refusal("mx:[127.0.0.1]").kind == OutcomeKind::failed);
    CHECK(fixture.refusal("mx:[::ffff:10.0.0.1]").kind == OutcomeKind::failed);
    CHECK(fixture.server.questions() == 0);
}

TEST_CASE("what is no destination is refused for good") {
    Fixture fixture;
    for (const auto* destination : {"mx:", "mx:[not.an.address]", ""}) {
        const auto refusal = fixture.refusal(destination);
        CHECK(refusal.kind == OutcomeKind::failed);
        CHECK(refusal.reply.enhanced == EnhancedCode{5, 1, 3});
    }
    CHECK(fixture.server.questions() == 0);
}

TEST_CASE("refusals of every kind") {
    Fixture fixture;
    fixture.server.add("null.example", DnsServer::make_mx(0, ""));
    fixture.server.add("self.example", DnsServer::make_mx(10, "me.example"));
    fixture.server.add("inside.example", DnsServer::make_mx(10, "inner.example"));
    fixture.server.add("inner.example", DnsServer::make_a("10.0.0.1"));
    fixture.server.add("inner.example", DnsServer::make_aaaa("::ffff:127.0.0.1"));
    fixture.server.add("dangling.example", DnsServer::make_mx(10, "gone.example"));
    CHECK(fixture.refusal("mx:null.example").reply.code == 556);
    CHECK(fixture.refusal("mx:self.example").reply.enhanced == EnhancedCode{5, 4, 6});
    CHECK(fixture.refusal("mx:inside.example").reply.enhanced == EnhancedCode{5, 4, 4});
    CHECK(fixture.refusal("mx:dangling.example").reply.enhanced == EnhancedCode{5, 4, 4});
    CHECK(fixture.refusal("mx:none.example").reply.enhanced == EnhancedCode{5, 1, 2});
    CHECK(fixture.refusal("smtp:none.example").kind == OutcomeKind::deferred);
    fixture.server.mode = DnsServer::Mode::servfail;
    const auto trouble = fixture.refusal("mx:d.example");
    CHECK(trouble.kind == OutcomeKind::deferred);
    CHECK(trouble.reply.enhanced == EnhancedCode{4, 4, 3});
}

TEST_CASE("candidates are remembered for their TTL, at most five minutes") {
    Fixture fixture;
    fixture.server.add("d.example", DnsServer::make_mx(10, "a.example"));
    fixture.server.add("a.example", DnsServer::make_a("192.0.2.1", 60));
    fixture.server.add("long.example", DnsServer::make_a("192.0.2.1", 86400));
    fixture.candidates("mx:d.example");
    CHECK(fixture.server.questions() == 3);
    fixture.clock.advance(59s);
    fixture.candidates("mx:d.example");
    CHECK(fixture.server.questions() == 3);
    fixture.clock.advance(2s);
    fixture.candidates("mx:d.example");
    CHECK(fixture.server.questions() == 6);
    fixture.candidates("mx:long.example");
    CHECK(fixture.server.questions() == 9);
    fixture.clock.advance(5min);
    fixture.candidates("mx:long.example");
    CHECK(fixture.server.questions() == 12);
}

TEST_CASE("a TTL of nothing, and refusals, are not remembered") {
    Fixture fixture;
    fixture.server.add("d.example", DnsServer::make_a("192.0.2.1", 0));
    fixture.candidates("mx:d.example");
    fixture.candidates("mx:d.example");
    CHECK(fixture.server.questions() == 6);
    fixture.refusal("mx:gone.example");
    fixture.refusal("mx:gone.example");
    CHECK(fixture.server.questions() == 8);
}
