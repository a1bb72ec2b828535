#include "daemon/dns/dns_resolver.h"

#include <future>
#include <optional>
#include <stdexcept>

#include <doctest/doctest.h>

#include "tests/unit/daemon/dns/dns_server.h"
#include "tests/unit/support/running_shard.h"

using namespace posthorse;
using namespace posthorse::dns;
using tests::DnsServer;

namespace {

struct Fixture {
    explicit Fixture(Duration timeout = std::chrono::seconds{5}) : timeout_(timeout) {}
    ~Fixture() {
        on_shard([this] { dns.reset(); });
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
    DnsResolver& resolver() {
        if (!dns) {
            on_shard([this] {
                dns.emplace(shard.get(), DnsResolver::Settings{{server.address()}, timeout_, 2});
            });
        }
        return *dns;
    }
    MxAnswer mx(const std::string& domain) {
        auto& asked = resolver();
        std::promise<MxAnswer> answer;
        shard.get().post(
            [&] { asked.mx(domain, [&](MxAnswer found) { answer.set_value(std::move(found)); }); });
        return answer.get_future().get();
    }
    SrvAnswer srv(const std::string& name) {
        auto& asked = resolver();
        std::promise<SrvAnswer> answer;
        shard.get().post(
            [&] { asked.srv(name, [&](SrvAnswer found) { answer.set_value(std::move(found)); }); });
        return answer.get_future().get();
    }
    template <class Ask>
    Answer<std::string> ask(Ask question) {
        auto& asked = resolver();
        std::promise<Answer<std::string>> answer;
        shard.get().post([&] {
            question(asked, [&](Answer<std::string> found) { answer.set_value(std::move(found)); });
        });
        return answer.get_future().get();
    }
    TextAnswer txt(const std::string& name) {
        return ask([&](DnsResolver& dns, auto done) { dns.txt(name, std::move(done)); });
    }
    HostAnswer ptr(const std::string& address) {
        return ask([&](DnsResolver& dns, auto done) { dns.ptr(address, std::move(done)); });
    }
    AddressAnswer addresses_of(const std::string& host, AddressFamily family) {
        return ask(
            [&](DnsResolver& dns, auto done) { dns.addresses_of(host, family, std::move(done)); });
    }
    std::vector<HostAddresses> addresses(std::vector<std::string> hosts) {
        auto& asked = resolver();
        std::promise<std::vector<HostAddresses>> answer;
        shard.get().post([&] {
            asked.addresses(std::move(hosts), [&](std::vector<HostAddresses> found) {
                answer.set_value(std::move(found));
            });
        });
        return answer.get_future().get();
    }

    DnsServer server;
    tests::RunningShard shard;
    std::optional<DnsResolver> dns;
    Duration timeout_;
};

constexpr Duration hasty{50};

}  // namespace

TEST_CASE("MX records come with preference, host and TTL") {
    Fixture fixture;
    fixture.server.add("d.example", DnsServer::make_mx(10, "Mail.D.Example"));
    fixture.server.add("d.example", DnsServer::make_mx(20, "b.example"));
    const auto answer = fixture.mx("d.example");
    CHECK(answer.end == LookupEnd::found);
    CHECK(answer.records == std::vector<MxRecord>{{10, "mail.d.example"}, {20, "b.example"}});
    CHECK(answer.ttl_seconds == 300);
}

TEST_CASE("a null MX is a host without a name") {
    Fixture fixture;
    fixture.server.add("d.example", DnsServer::make_mx(0, ""));
    CHECK(fixture.mx("d.example").records == std::vector<MxRecord>{{0, ""}});
}

TEST_CASE("SRV records come with priority, weight, port and host") {
    Fixture fixture;
    const std::string name = "_posthorse._tcp.d.example";
    fixture.server.add(name, DnsServer::make_srv({10, 60, 9626, "Node-1.D.Example"}));
    fixture.server.add(name, DnsServer::make_srv({65535, 0, 1, "b.example"}));
    const auto answer = fixture.srv(name);
    CHECK(answer.end == LookupEnd::found);
    CHECK(answer.records ==
          std::vector<SrvRecord>{{10, 60, 9626, "node-1.d.example"}, {65535, 0, 1, "b.example"}});
    CHECK(answer.ttl_seconds == 300);
}

TEST_CASE("a service that is not offered is a host without a name") {
    Fixture fixture;
    fixture.server.add("_x._tcp.d.example", DnsServer::make_srv({0, 0, 0, ""}));
    CHECK(fixture.srv("_x._tcp.d.example").records == std::vector<SrvRecord>{{0, 0, 0, ""}});
    CHECK(fixture.srv("_y._tcp.d.example").end == LookupEnd::no_domain);
}

TEST_CASE("A and AAAA of all hosts are asked together") {
    Fixture fixture;
    fixture.server.add("a.example", DnsServer::make_a("192.0.2.1", 60));
    fixture.server.add("a.example", DnsServer::make_aaaa("2001:db8::1"));
    fixture.server.add("b.example", DnsServer::make_a("192.0.2.2"));
    const auto hosts = fixture.addresses({"a.example", "b.example", "gone.example"});
    REQUIRE(hosts.size() == 3);
    CHECK(hosts[0].host == "a.example");
    CHECK(hosts[0].v4.records == std::vector<std::string>{"192.0.2.1"});
    CHECK(hosts[0].v4.ttl_seconds == 60);
    CHECK(hosts[0].v6.records == std::vector<std::string>{"2001:db8::1"});
    CHECK(hosts[1].v6.end == LookupEnd::no_data);
    CHECK(hosts[2].v4.end == LookupEnd::no_domain);
    CHECK(hosts[2].v6.end == LookupEnd::no_domain);
    CHECK(fixture.server.questions() == 6);
}

TEST_CASE("the strings of a TXT record are put together, records stay apart") {
    Fixture fixture;
    fixture.server.add("d.example", DnsServer::make_txt({"v=spf1 ", "-all"}));
    fixture.server.add("d.example", DnsServer::make_txt({std::string(255, 'x'), ""}));
    const auto answer = fixture.txt("d.example");
    CHECK(answer.end == LookupEnd::found);
    CHECK(answer.records == std::vector<std::string>{"v=spf1 -all", std::string(255, 'x')});
    CHECK(fixture.txt("gone.example").end == LookupEnd::no_domain);
    auto cut = DnsServer::make_txt({"whole"});
    cut.data.pop_back();
    fixture.server.add("cut.example", cut);
    CHECK(fixture.txt("cut.example").end == LookupEnd::no_data);
}

TEST_CASE("an address is asked for its names") {
    Fixture fixture;
    fixture.server.add("3.2.0.192.in-addr.arpa", DnsServer::make_ptr("Host.D.Example"));
    fixture.server.add("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
                       DnsServer::make_ptr("six.example"));
    CHECK(fixture.ptr("192.0.2.3").records == std::vector<std::string>{"host.d.example"});
    CHECK(fixture.ptr("2001:db8::1").records == std::vector<std::string>{"six.example"});
    CHECK(fixture.ptr("nobody").end == LookupEnd::no_domain);
    CHECK(fixture.server.questions() == 2);
}

TEST_CASE("one family of addresses is asked for alone") {
    Fixture fixture;
    fixture.server.add("a.example", DnsServer::make_a("192.0.2.1"));
    fixture.server.add("a.example", DnsServer::make_aaaa("2001:db8::1"));
    CHECK(fixture.addresses_of("a.example", AddressFamily::v4).records ==
          std::vector<std::string>{"192.0.2.1"});
    CHECK(fixture.addresses_of("a.example", AddressFamily::v6).records ==
          std::vector<std::string>{"2001:db8::1"});
    CHECK(fixture.server.questions() == 2);
}

TEST_CASE("no hosts, no questions") {
    Fixture fixture;
    CHECK(fixture.addresses({}).empty());
}

TEST_CASE("a name that exists has no data, one that does not has no domain") {
    Fixture fixture;
    fixture.server.exists("empty.example");
    CHECK(fixture.mx("empty.example").end == LookupEnd::no_data);
    CHECK(fixture.mx("gone.example").end == LookupEnd::no_domain);
}

TEST_CASE("no search domain and no hosts file is consulted") {
    Fixture fixture;
    CHECK(fixture.addresses({"localhost"})[0].v4.end == LookupEnd::no_domain);
    CHECK(fixture.server.questions() == 2);
}

TEST_CASE("what the recursive server followed a CNAME to is taken") {
    Fixture fixture;
    fixture.server.add("d.example", DnsServer::make_cname("real.example"));
    auto there = DnsServer::make_mx(5, "m.example");
    there.owner = "real.example";
    fixture.server.add("d.example", there);
    CHECK(fixture.mx("d.example").records == std::vector<MxRecord>{{5, "m.example"}});
}

TEST_CASE("a CNAME that leads nowhere, and a chain of twenty, are no data") {
    Fixture fixture;
    fixture.server.add("loop.example", DnsServer::make_cname("loop.example"));
    for (int i = 0; i < 20; ++i) {
        auto link = DnsServer::make_cname("c" + std::to_string(i + 1) + ".example");
        if (i > 0) link.owner = "c" + std::to_string(i) + ".example";
        fixture.server.add("chain.example", link);
    }
    CHECK(fixture.mx("loop.example").end == LookupEnd::no_data);
    CHECK(fixture.mx("chain.example").end == LookupEnd::no_data);
}

TEST_CASE("a truncated answer is asked for again over TCP") {
    Fixture fixture;
    for (std::uint16_t i = 0; i < 60; ++i) {
        fixture.server.add("big.example",
                           DnsServer::make_mx(i, "mail" + std::to_string(i) + ".big.example"));
    }
    fixture.server.mode = DnsServer::Mode::truncated_udp;
    CHECK(fixture.mx("big.example").records.size() == 60);
    CHECK(fixture.server.questions_by_tcp() == 1);
}

TEST_CASE("an answer of thousands of records is read up to the limit") {
    Fixture fixture;
    for (int i = 0; i < 3000; ++i)
        fixture.server.add("many.example", DnsServer::make_a("192.0.2.1"));
    fixture.server.mode = DnsServer::Mode::truncated_udp;
    CHECK(fixture.addresses({"many.example"})[0].v4.records.size() == DnsResolver::records_max);
}

TEST_CASE("trouble is told from absence") {
    Fixture fixture(hasty);
    fixture.server.add("d.example", DnsServer::make_mx(10, "a.example"));
    SUBCASE("SERVFAIL") {
        fixture.server.mode = DnsServer::Mode::servfail;
    }
    SUBCASE("silence") {
        fixture.server.mode = DnsServer::Mode::silent;
    }
    SUBCASE("garbage") {
        fixture.server.mode = DnsServer::Mode::garbage;
    }
    SUBCASE("another query's id") {
        fixture.server.mode = DnsServer::Mode::wrong_id;
    }
    SUBCASE("another question") {
        fixture.server.mode = DnsServer::Mode::wrong_question;
    }
    const auto answer = fixture.mx("d.example");
    CHECK(answer.end == LookupEnd::failed);
    CHECK_FALSE(answer.error.empty());
}

TEST_CASE("records that are cut short or lie about their length are trouble, not a crash") {
    Fixture fixture;
    fixture.server.add("short.example", {DnsServer::mx, std::string("\0", 1), 300, {}});
    fixture.server.add("loop.example", {DnsServer::mx, std::string("\0\x0A\xC0\xFF", 4), 300, {}});
    const std::string numbers("\0\x01\0\x02\0\x03", 6);
    fixture.server.add("short.example", {DnsServer::srv, numbers, 300, {}});
    fixture.server.add("loop.example", {DnsServer::srv, numbers + "\xC0\xFF", 300, {}});
    fixture.server.add("v4.example", {DnsServer::a, "\x01\x02\x03", 300, {}});
    CHECK(fixture.mx("short.example").end == LookupEnd::no_data);
    CHECK(fixture.mx("loop.example").end != LookupEnd::found);
    CHECK(fixture.srv("short.example").end == LookupEnd::no_data);
    CHECK(fixture.srv("loop.example").end != LookupEnd::found);
    CHECK(fixture.addresses({"v4.example"})[0].v4.end == LookupEnd::no_data);
}

TEST_CASE("a host with octets that no host name has cannot exist") {
    Fixture fixture;
    fixture.server.add("d.example", {DnsServer::mx,
                                     std::string("\0\x0A\x05"
                                                 "a\r\nbc\x00",
                                                 9),
                                     300,
                                     {}});
    CHECK(fixture.mx("d.example").records == std::vector<MxRecord>{{10, "invalid"}});
}

TEST_CASE("names that are no names have no domain") {
    Fixture fixture;
    CHECK(fixture.mx(std::string(64, 'a') + ".example").end == LookupEnd::no_domain);
    CHECK(fixture.mx("a..example").end == LookupEnd::no_domain);
}

TEST_CASE("cancel answers what is open, and the resolver lives on") {
    Fixture fixture;
    fixture.server.mode = DnsServer::Mode::silent;
    auto& dns = fixture.resolver();
    std::promise<MxAnswer> answer;
    fixture.on_shard([&] {
        dns.mx("d.example", [&](MxAnswer found) { answer.set_value(std::move(found)); });
        dns.cancel();
    });
    CHECK(answer.get_future().get().end == LookupEnd::failed);
    fixture.server.mode = DnsServer::Mode::answer;
    CHECK(fixture.mx("gone.example").end == LookupEnd::no_domain);
}

TEST_CASE("destruction answers what is open") {
    Fixture fixture;
    fixture.server.mode = DnsServer::Mode::silent;
    auto& dns = fixture.resolver();
    std::promise<MxAnswer> answer;
    fixture.on_shard([&] {
        dns.mx("d.example", [&](MxAnswer found) { answer.set_value(std::move(found)); });
        fixture.dns.reset();
    });
    CHECK(answer.get_future().get().end == LookupEnd::failed);
}

TEST_CASE("servers that are no addresses are refused, by the setting's name") {
    tests::RunningShard shard;
    try {
        DnsResolver dns(shard.get(), {{"not an address"}, std::chrono::seconds{1}, 1});
        FAIL("taken");
    } catch (const std::runtime_error& error) {
        CHECK(std::string(error.what()).find("delivery.dns_servers") != std::string::npos);
    }
}
