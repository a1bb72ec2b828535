#include "daemon/pool/discovery.h"

#include <future>
#include <optional>
#include <stdexcept>

#include <doctest/doctest.h>

#include "tests/unit/daemon/dns/dns_server.h"
#include "tests/unit/support/running_shard.h"

using namespace posthorse;
using namespace posthorse::pool;
using tests::DnsServer;

namespace {

using Addresses = std::vector<std::string>;
constexpr Duration hasty{50};

class Fixture {
public:
    explicit Fixture(const std::vector<std::string>& join,
                     Duration timeout = std::chrono::seconds{5}) {
        on_home([&] {
            const dns::DnsResolver::Settings settings{{server.address()}, timeout, 1};
            discovery.emplace(home.get(), settings, join, std::uint16_t{9626});
        });
    }
    ~Fixture() {
        on_home([this] { discovery.reset(); });
    }
    Fixture(const Fixture&) = delete;
    Fixture& operator=(const Fixture&) = delete;

    template <class Work>
    void on_home(Work work) {
        std::promise<void> done;
        home.get().post([&] {
            work();
            done.set_value();
        });
        done.get_future().wait();
    }
    // On home.
    std::future<Discovered> begin_look() {
        std::promise<Discovered> promise;
        auto answer = promise.get_future();
        discovery->look([promise = std::move(promise)](Discovered found) mutable {
            promise.set_value(std::move(found));
        });
        return answer;
    }
    Discovered look() {
        std::future<Discovered> answer;
        on_home([&] { answer = begin_look(); });
        return answer.get();
    }

    DnsServer server;
    tests::RunningShard home;
    std::optional<Discovery> discovery;
};

}  // namespace

TEST_CASE("addresses need no DNS, and come sorted, once each") {
    Fixture fixture(
        {"192.0.2.2", "192.0.2.1:9000", "2001:DB8::1", "[2001:db8::1]:9626", "192.0.2.2:9626"});
    const auto found = fixture.look();
    CHECK(found.addresses == Addresses{"192.0.2.1:9000", "192.0.2.2:9626", "[2001:db8::1]:9626"});
    CHECK(found.complete);
    CHECK(found.trouble.empty());
    CHECK(fixture.server.questions() == 0);
}

TEST_CASE("without entries nobody is found, and that is complete") {
    Fixture fixture(Addresses{});
    const auto found = fixture.look();
    CHECK(found.addresses.empty());
    CHECK(found.complete);
}

TEST_CASE("a host gives all its addresses, with the entry's port or the pool's") {
    Fixture fixture({"nodes.example", "other.example:9000"});
    fixture.server.add("nodes.example", DnsServer::make_a("192.0.2.1"));
    fixture.server.add("nodes.example", DnsServer::make_a("192.0.2.2"));
    fixture.server.add("nodes.example", DnsServer::make_aaaa("2001:db8::1"));
    fixture.server.add("other.example", DnsServer::make_a("192.0.2.1"));
    const auto found = fixture.look();
    CHECK(found.addresses ==
          Addresses{"192.0.2.1:9000", "192.0.2.1:9626", "192.0.2.2:9626", "[2001:db8::1]:9626"});
    CHECK(found.complete);
}

TEST_CASE("a service gives hosts and ports, whatever their priority") {
    Fixture fixture({"_posthorse._tcp.mail.example"});
    const std::string service = "_posthorse._tcp.mail.example";
    fixture.server.add(service, DnsServer::make_srv({10, 1, 9001, "a.example"}));
    fixture.server.add(service, DnsServer::make_srv({20, 1, 9002, "b.example"}));
    fixture.server.add("a.example", DnsServer::make_a("192.0.2.1"));
    fixture.server.add("b.example", DnsServer::make_a("192.0.2.2"));
    const auto found = fixture.look();
    CHECK(found.addresses == Addresses{"192.0.2.1:9001", "192.0.2.2:9002"});
    CHECK(found.complete);
}

TEST_CASE("a service that is not offered is nobody") {
    Fixture fixture({"_posthorse._tcp.mail.example"});
    fixture.server.add("_posthorse._tcp.mail.example", DnsServer::make_srv({0, 0, 0, ""}));
    const auto found = fixture.look();
    CHECK(found.addresses.empty());
    CHECK(found.complete);
    CHECK(fixture.server.questions() == 1);
}

TEST_CASE("names that do not exist or have no data are complete answers") {
    Fixture fixture({"gone.example", "empty.example", "_posthorse._tcp.gone.example", "192.0.2.9"});
    fixture.server.exists("empty.example");
    const auto found = fixture.look();
    CHECK(found.addresses == Addresses{"192.0.2.9:9626"});
    CHECK(found.complete);
}

TEST_CASE("a name that cannot be looked up leaves the answer incomplete, and is named") {
    Fixture fixture({"a.example", "_posthorse._tcp.mail.example", "192.0.2.9"});
    fixture.server.add("a.example", DnsServer::make_a("192.0.2.1"));
    const std::string service = "_posthorse._tcp.mail.example";
    fixture.server.add(service, DnsServer::make_srv({0, 0, 9000, "b.example"}));
    fixture.server.add("b.example", DnsServer::make_aaaa("2001:db8::2"));
    Addresses expected{"192.0.2.1:9626", "192.0.2.9:9626", "[2001:db8::2]:9000"};
    std::string failing;
    SUBCASE("one family of a host") {
        fixture.server.fails(failing = "a.example", DnsServer::aaaa);
    }
    SUBCASE("a service") {
        fixture.server.fails(failing = service, DnsServer::srv);
        expected.pop_back();
    }
    SUBCASE("a service's host") {
        fixture.server.fails(failing = "b.example", DnsServer::a);
    }
    const auto found = fixture.look();
    CHECK(found.addresses == expected);
    CHECK_FALSE(found.complete);
    CHECK(found.trouble.find(failing) != std::string::npos);
    CHECK(found.trouble.find("failed: ") != std::string::npos);
}

TEST_CASE("silence is not absence") {
    Fixture fixture({"a.example"}, hasty);
    fixture.server.mode = DnsServer::Mode::silent;
    CHECK_FALSE(fixture.look().complete);
    fixture.server.mode = DnsServer::Mode::answer;
    const auto found = fixture.look();  // trouble does not stay
    CHECK(found.complete);
    CHECK(found.trouble.empty());
}

TEST_CASE("every look asks anew") {
    Fixture fixture({"a.example"});
    fixture.server.add("a.example", DnsServer::make_a("192.0.2.1"));
    CHECK(fixture.look().addresses.size() == 1);
    fixture.server.add("a.example", DnsServer::make_a("192.0.2.2"));
    CHECK(fixture.look().addresses.size() == 2);
}

TEST_CASE("a look while one runs joins it") {
    Fixture fixture({"a.example"});
    fixture.server.add("a.example", DnsServer::make_a("192.0.2.1"));
    std::future<Discovered> first;
    std::future<Discovered> second;
    fixture.on_home([&] {
        first = fixture.begin_look();
        second = fixture.begin_look();
    });
    CHECK(first.get().addresses == Addresses{"192.0.2.1:9626"});
    CHECK(second.get().addresses == Addresses{"192.0.2.1:9626"});
    CHECK(fixture.server.questions() == 2);
}

TEST_CASE("who is answered may look again at once") {
    Fixture fixture({"192.0.2.1"});
    std::promise<Discovered> second;
    fixture.on_home([&] {
        fixture.discovery->look([&](const Discovered&) {
            fixture.discovery->look([&](Discovered found) { second.set_value(std::move(found)); });
        });
    });
    CHECK(second.get_future().get().addresses.size() == 1);
}

TEST_CASE("more addresses than the bound are cut, which is not complete") {
    std::vector<std::string> join;
    for (std::uint16_t i = 0; i < Discovery::addresses_max; ++i) {
        join.push_back("192.0.2." + std::to_string(i % 256) + ":9000");
    }
    join.push_back(join.front());
    SUBCASE("as many as allowed") {
        Fixture fixture(join);
        const auto found = fixture.look();
        CHECK(found.addresses.size() == Discovery::addresses_max);
        CHECK(found.complete);
    }
    SUBCASE("one more") {
        join.push_back("198.51.100.1");
        Fixture fixture(join);
        const auto found = fixture.look();
        CHECK(found.addresses.size() == Discovery::addresses_max);
        CHECK_FALSE(found.complete);
        CHECK(found.trouble.find("256") != std::string::npos);
    }
}

TEST_CASE("destruction ends a look with an answer that is not complete") {
    Fixture fixture({"a.example", "_posthorse._tcp.mail.example"});
    fixture.server.mode = DnsServer::Mode::silent;
    std::future<Discovered> answer;
    fixture.on_home([&] {
        answer = fixture.begin_look();
        fixture.discovery.reset();
    });
    CHECK_FALSE(answer.get().complete);
}

TEST_CASE("DNS servers that are no addresses are refused") {
    tests::RunningShard home;
    const dns::DnsResolver::Settings settings{{"not an address"}, hasty, 1};
    CHECK_THROWS_AS(Discovery(home.get(), settings, {}, 9626), std::runtime_error);
}
