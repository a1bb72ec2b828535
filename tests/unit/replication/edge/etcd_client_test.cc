// Against a real etcd, on loopback.
#include "replication/edge/etcd_client.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/replication/edge/etcd_process.h"
#include "tests/unit/replication/edge/peer_fixture.h"
#include "tests/unit/replication/edge/samples.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;
using Kind = EtcdKey::Kind;
using Outcome = EtcdAnswer::Outcome;

namespace {

EtcdKey lease_of(std::uint8_t number) {
    return {Kind::lease, node(number)};
}

EtcdTransaction put_lease(std::uint8_t number, std::uint64_t beat) {
    return {.puts = {{lease_of(number), EtcdLease{.beat = beat}}}};
}

std::string nobody() {
    return "http://127.0.0.1:" + std::to_string(free_port());
}

// A client whose home is the test's thread.
class Client {
public:
    explicit Client(std::vector<std::string> endpoints, PeerFiles files = {}) {
        auto opened = EtcdClient::open({.endpoints = std::move(endpoints),
                                        .prefix = "/test/pool",
                                        .files = std::move(files),
                                        .deadline = 1s},
                                       home_);
        if (!opened) FAIL(opened.error().what);
        client_ = *std::move(opened);
    }
    ~Client() {
        bool stopped = false;
        client_->stop([&] { stopped = true; });
        until([&] { return stopped; });
    }
    EtcdClient* operator->() { return client_.get(); }

    void until(const std::function<bool()>& condition) {
        REQUIRE(home_.run_until([this](BootTime now) { client_->tick(now); }, condition));
    }
    Result<EtcdSnapshot> read() {
        std::optional<Result<EtcdSnapshot>> answer;
        client_->read([&](Result<EtcdSnapshot> result) { answer = std::move(result); });
        CHECK_FALSE(answer.has_value());  // not inside the call
        until([&] { return answer.has_value(); });
        return *answer;
    }
    // Until it is reached: an etcd that begins, or that comes back.
    EtcdSnapshot read_well() {
        for (int attempt = 0; attempt < 100; ++attempt)
            if (auto answer = read()) return *answer;
        FAIL("etcd is not reached: " << client_->figures().problem);
        return {};
    }
    EtcdAnswer transact(const EtcdTransaction& transaction) {
        std::optional<EtcdAnswer> answer;
        client_->transact(transaction, [&](EtcdAnswer result) { answer = std::move(result); });
        until([&] { return answer.has_value(); });
        return *answer;
    }
    void watch(Revision from) {
        changes.clear();
        ended.reset();
        client_->watch(from, {[this](EtcdChanges one) { changes.push_back(std::move(one)); },
                              [this](std::string why) { ended = std::move(why); }});
    }

    std::vector<EtcdChanges> changes;
    std::optional<std::string> ended;

private:
    PatientHome home_;
    std::unique_ptr<EtcdClient> client_;
};

std::string open_error(const EtcdClient::Settings& settings) {
    PatientHome home;
    auto opened = EtcdClient::open(settings, home);
    return opened ? "" : opened.error().what;
}

bool mentions(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("every item is put, read and told of, and a comparison that does not hold brings all") {
    EtcdProcess etcd;
    Client client({etcd.endpoint()});
    const auto empty = client.read_well();
    CHECK(empty.entries.empty());
    CHECK(empty.revision.value >= 1);
    client.watch({empty.revision.value + 1});

    const auto items = every_etcd_item();
    const auto begun = client.transact({.when = {{{}, {0}}}, .puts = items});
    CHECK(begun.outcome == Outcome::done);
    CHECK(begun.revision > empty.revision);

    const auto refused = client.transact({.when = {{{}, {0}}}, .puts = items});
    CHECK(refused.outcome == Outcome::refused);
    const auto now = client.read();
    REQUIRE(now.has_value());
    for (const auto& snapshot : {refused.snapshot, *now}) {
        CHECK(snapshot.revision == begun.revision);
        REQUIRE(snapshot.entries.size() == items.size());
        for (const auto& entry : snapshot.entries) {
            CHECK(entry.changed == begun.revision);
            const auto put = std::find_if(items.begin(), items.end(),
                                          [&](const EtcdPut& one) { return one.key == entry.key; });
            REQUIRE(put != items.end());
            CHECK(put->item == entry.item);
        }
    }

    EtcdTransaction second{.when = {{{}, begun.revision}, {lease_of(1), begun.revision}},
                           .puts = {{{Kind::waiting, node(3)}, EtcdWaiting{.beat = 1}}},
                           .deletes = {lease_of(1)}};
    const auto done = client.transact(second);
    CHECK(done.outcome == Outcome::done);
    client.until([&] { return client.changes.size() == 2; });
    CHECK(client.changes[0].revision == begun.revision);
    CHECK(client.changes[0].put.size() == items.size());
    CHECK(client.changes[1].revision == done.revision);
    REQUIRE(client.changes[1].put.size() == 1);
    CHECK(client.changes[1].put[0].key == second.puts[0].key);
    CHECK(client.changes[1].put[0].item == second.puts[0].item);
    CHECK(client.changes[1].deleted == std::vector{lease_of(1)});
    CHECK_FALSE(client.ended.has_value());
    CHECK(client->figures().problem == "");
}

TEST_CASE("a watch tells all from its revision on, and goes on for as long as nothing happens") {
    EtcdProcess etcd;
    Client client({etcd.endpoint()});
    const auto begin = client.read_well().revision;
    for (const std::uint64_t beat : {1, 2, 3}) client.transact(put_lease(1, beat));
    client.watch({begin.value + 2});
    client.until([&] { return client.changes.size() == 2; });
    CHECK(client.changes[0].revision.value == begin.value + 2);
    CHECK(std::get<EtcdLease>(client.changes[1].put[0].item).beat == 3);

    // Questions whether etcd lives are answered, and it is not left.
    const auto calls = client->figures().calls;
    client.until([&] { return client->figures().calls > calls + 8; });
    CHECK_FALSE(client.ended.has_value());
    client.transact(put_lease(1, 4));
    client.until([&] { return client.changes.size() == 3; });
    // Another watch instead: nothing more is heard of the first.
    const auto first = client.changes;
    client.watch({begin.value + 1});
    client.until([&] { return client.changes.size() == 4; });
    CHECK_FALSE(client.ended.has_value());
}

TEST_CASE("a watch may give way to another while it tells of a change") {
    EtcdProcess etcd;
    Client client({etcd.endpoint()});
    const auto begin = client.read_well().revision;
    for (const std::uint64_t beat : {1, 2, 3}) client.transact(put_lease(1, beat));
    int first = 0;
    client->watch({begin.value + 1}, {[&](const EtcdChanges&) {
                                          ++first;
                                          client.watch({begin.value + 3});
                                      },
                                      [](const std::string& why) { FAIL(why); }});
    client.until([&] { return client.changes.size() == 1; });
    CHECK(first == 1);
    CHECK(client.changes[0].revision.value == begin.value + 3);
}

TEST_CASE("what others wrote below the prefix is told apart") {
    EtcdProcess etcd;
    Client client({etcd.endpoint()});
    client.read_well();
    etcd.control({"put", "/test/pool/pool", "{}"});
    etcd.control({"put", "/test/pool/of-later", "x"});
    etcd.control({"put", "/test/pool0", "beside"});
    const auto all = client.read();
    REQUIRE(all.has_value());
    REQUIRE(all->entries.size() == 1);
    CHECK(all->entries[0].key == EtcdKey{});
    CHECK(all->entries[0].item == EtcdItem{EtcdUnreadable{"another program wrote it"}});
}

TEST_CASE("etcd is killed and comes back: what was told is so, and the watch ends") {
    EtcdProcess etcd;
    Client client({etcd.endpoint()});
    const auto begin = client.read_well().revision;
    client.watch({begin.value + 1});
    CHECK(client.transact(put_lease(1, 7)).outcome == Outcome::done);
    etcd.kill();
    client.until([&] { return client.ended.has_value(); });
    CHECK(mentions(*client.ended, etcd.endpoint()));
    const auto failed = client.read();
    REQUIRE(failed.has_error());
    CHECK(failed.error().code == Errc::unavailable);
    CHECK(mentions(failed.error().what, etcd.endpoint()));
    const auto unknown = client.transact(put_lease(1, 8));
    CHECK(unknown.outcome == Outcome::unknown);
    CHECK(mentions(unknown.why, etcd.endpoint()));
    CHECK(client->figures().problem != "");

    etcd.start();
    const auto again = client.read_well();
    REQUIRE(again.entries.size() == 1);
    CHECK(std::get<EtcdLease>(again.entries[0].item).beat == 7);
    client.watch({begin.value + 1});
    client.until([&] { return client.changes.size() == 1; });
    CHECK(client->figures().problem == "");
}

TEST_CASE("etcd that hangs is given up, and what it was asked is not known") {
    EtcdProcess etcd;
    Client client({etcd.endpoint()});
    const auto begin = client.read_well().revision;
    client.watch({begin.value + 1});
    client.transact(put_lease(1, 1));
    client.until([&] { return client.changes.size() == 1; });
    etcd.freeze();
    // By itself, since nothing is asked of it.
    client.until([&] { return client.ended.has_value(); });
    CHECK(mentions(*client.ended, "gave no answer within 1000 ms"));
    CHECK(client.transact(put_lease(1, 2)).outcome == Outcome::unknown);
    etcd.thaw();
    CHECK(client.read_well().entries.size() == 1);
}

TEST_CASE("a revision that etcd has forgotten ends the watch, and nothing else") {
    EtcdProcess etcd;
    Client client({etcd.endpoint()});
    const auto begin = client.read_well().revision;
    for (const std::uint64_t beat : {1, 2, 3}) client.transact(put_lease(1, beat));
    etcd.control({"compact", std::to_string(begin.value + 3)});
    client.watch({begin.value + 1});
    client.until([&] { return client.ended.has_value(); });
    CHECK(mentions(*client.ended, "has forgotten revision"));
    CHECK(client.changes.empty());
    CHECK(client->figures().problem == "");
    client.watch({client.read_well().revision.value + 1});
    client.transact(put_lease(1, 4));
    client.until([&] { return client.changes.size() == 1; });
}

TEST_CASE("an endpoint where nobody listens, and one that never answers, are passed over") {
    EtcdProcess etcd;
    const SilentServer silent;
    Client client({nobody(), "http://" + silent.address(), etcd.endpoint()});
    client.read_well();
    CHECK(client->figures().endpoint == etcd.endpoint());
    CHECK(client->figures().moves >= 2);
    CHECK(client.transact(put_lease(1, 1)).outcome == Outcome::done);
}

TEST_CASE("of three members one in use dies, then the rest has no majority") {
    const std::uint16_t ports[] = {free_port(), free_port(), free_port()};
    std::string cluster;
    for (const int i : {0, 1, 2}) {
        cluster += (i == 0 ? "m" : ",m") + std::to_string(i) +
                   "=http://127.0.0.1:" + std::to_string(ports[i]);
    }
    EtcdProcess zero({}, {"m0", ports[0], cluster});
    EtcdProcess one({}, {"m1", ports[1], cluster});
    EtcdProcess two({}, {"m2", ports[2], cluster});
    Client client({zero.endpoint(), one.endpoint(), two.endpoint()});
    client.read_well();
    const auto in_use = [&]() -> EtcdProcess& {
        for (auto* member : {&zero, &one})
            if (member->endpoint() == client->figures().endpoint) return *member;
        return two;
    };
    // One that dies.
    for (auto beat = 1u; client.transact(put_lease(1, beat)).outcome != Outcome::done; ++beat) {
    }
    client.watch({client.read_well().revision.value + 1});
    auto& first = in_use();
    first.kill();
    client.until([&] { return client.ended.has_value(); });
    const auto after = client.read_well();
    CHECK(after.entries.size() == 1);
    CHECK(client->figures().endpoint != first.endpoint());

    // One that lives and answers, and knows no leader: the watch ends without anybody's asking.
    auto& second = in_use();
    EtcdProcess* third = nullptr;
    for (auto* member : {&zero, &one, &two})
        if (member != &first && member != &second) third = member;
    client.watch({after.revision.value + 1});
    third->kill();
    client.until([&] { return client.ended.has_value(); });
    CHECK(client.read().has_error());
    third->start();
    CHECK(client.read_well().entries.size() == 1);
}

TEST_CASE("etcd with TLS is told who asks, and shows who it is") {
    const TestAuthority authority;
    const TestAuthority other;
    const TemporaryDirectory files;
    const auto at = [&](const char* name) { return files.path() + "/" + name; };
    const auto server = authority.issue({"127.0.0.1"});
    const auto client_of = [&](const TestAuthority& issuer) {
        const auto identity = issuer.issue({"n1"});
        write_file(at("cert.pem"), identity.certificate);
        write_file(at("key.pem"), identity.key);
    };
    write_file(at("ca.pem"), authority.certificate());
    write_file(at("other.pem"), other.certificate());
    write_file(at("server.pem"), server.certificate);
    write_file(at("server-key.pem"), server.key);
    client_of(authority);
    EtcdProcess etcd(EtcdTls{at("ca.pem"), at("server.pem"), at("server-key.pem")});
    {
        Client client({etcd.endpoint()}, {at("ca.pem"), at("cert.pem"), at("key.pem")});
        client.watch({client.read_well().revision.value + 1});
        CHECK(client.transact(put_lease(1, 1)).outcome == Outcome::done);
        client.until([&] { return client.changes.size() == 1; });
    }
    {
        // Without a scheme: by the ca_file.
        Client client({"127.0.0.1:" + std::to_string(etcd.port())},
                      {at("ca.pem"), at("cert.pem"), at("key.pem")});
        client.read_well();
    }
    {
        Client client({etcd.endpoint()}, {at("other.pem"), at("cert.pem"), at("key.pem")});
        const auto failed = client.read();
        REQUIRE(failed.has_error());
        CHECK(mentions(failed.error().what, etcd.endpoint()));
    }
    {
        Client client({etcd.endpoint()}, {.ca_file = at("ca.pem")});
        CHECK(client.read().has_error());
    }
    {
        client_of(other);
        Client client({etcd.endpoint()}, {at("ca.pem"), at("cert.pem"), at("key.pem")});
        CHECK(client.read().has_error());
        write_file(at("key.pem"), "no key");
        const auto refused = client->reload();
        REQUIRE(refused.has_error());
        CHECK(mentions(refused.error().what, at("key.pem")));
        CHECK(client.read().has_error());
        client_of(authority);
        CHECK(client->reload().has_value());
        client.read_well();
    }
}

TEST_CASE("a server whose certificate names another host is no etcd of ours") {
    const TestAuthority authority;
    const TemporaryDirectory files;
    const auto at = [&](const char* name) { return files.path() + "/" + name; };
    const auto server = authority.issue({"etcd.elsewhere.example"});
    write_file(at("ca.pem"), authority.certificate());
    write_file(at("server.pem"), server.certificate);
    write_file(at("server-key.pem"), server.key);
    EtcdProcess etcd(EtcdTls{at("ca.pem"), at("server.pem"), at("server-key.pem")});
    Client client({etcd.endpoint()}, {at("ca.pem"), at("server.pem"), at("server-key.pem")});
    const std::string complaint = "not in peer certificate";
    std::string why;
    for (int attempt = 0; attempt < 100 && !mentions(why, complaint); ++attempt) {
        const auto failed = client.read();  // at first nobody listens
        REQUIRE(failed.has_error());
        why = failed.error().what;
    }
    CHECK(mentions(why, complaint));
    CHECK(mentions(why, etcd.endpoint()));
}

TEST_CASE("settings that name no etcd are refused, with the mend") {
    CHECK(mentions(open_error({.endpoints = {}}), "name at least one"));
    for (const char* bad :
         {"", "localhost", "https://", "https://host", "ftp://host:1", "host:port", ":2379",
          "https://user@host:2379", "https://host:2379/path", "host:999999"}) {
        const auto error = open_error({.endpoints = {bad}, .files = {.ca_file = "/not/there"}});
        CHECK_MESSAGE(mentions(error, "must be https://host:port"), bad);
    }
    CHECK(mentions(open_error({.endpoints = {"https://host:1"}}), "needs a ca_file"));
    CHECK(mentions(open_error({.endpoints = {"[::1]:1"}, .files = {.ca_file = "/not/there"}}),
                   "/not/there: cannot be opened"));
    CHECK(open_error({.endpoints = {"http://[::1]:1", "a.example:1"}}) == "");
}

TEST_CASE("whoever waits for an answer gets one when the node stops") {
    const SilentServer silent;
    PatientHome home;
    auto client = EtcdClient::open(
        {.endpoints = {"http://" + silent.address(), nobody()}, .prefix = "/p"}, home);
    REQUIRE(client.has_value());
    int answers = 0;
    const auto count = [&](const Result<EtcdSnapshot>& result) {
        CHECK(result.has_error());
        ++answers;
    };
    (*client)->read(count);
    (*client)->watch({1}, {[](const EtcdChanges&) { FAIL("it watches nothing"); },
                           [](const std::string&) { FAIL("it was stopped"); }});
    bool stopped = false;
    (*client)->stop([&] { stopped = true; });
    (*client)->read(count);
    CHECK(answers == 0);
    CHECK(home.run_until([](BootTime) {}, [&] { return stopped && answers == 2; }));
}
