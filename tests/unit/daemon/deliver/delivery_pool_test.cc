#include "daemon/deliver/delivery_pool.h"

#include <condition_variable>
#include <set>

#include <doctest/doctest.h>

#include "tests/unit/daemon/deliver/delivery_fixture.h"
#include "tests/unit/daemon/dns/dns_server.h"

using namespace posthorse;
using namespace posthorse::deliver;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

// Two shards, a home, and the scheduler's ear.
class PoolFixture : public DeliveryEvents {
public:
    explicit PoolFixture(std::uint16_t port, std::function<void(LaneSettings&)> change = {}) {
        LaneSettings settings;
        settings.connection.helo = "client.example";
        settings.connection.timeouts.greeting = 10s;
        settings.addresses.port = port;
        settings.addresses.private_addresses = true;
        settings.dns.servers = {dns.address()};
        settings.idle_connection = 1h;
        if (change) change(settings);
        dns.add("d.example", DnsServer::make_a("127.0.0.1"));
        std::vector<runtime::Shard*> shards{&home.get(), &other.get()};
        pool = std::make_unique<DeliveryPool>(home.get(), shards, settings, messages.port(), clock,
                                              metrics);
        pool->report_to(*this);
    }
    ~PoolFixture() override {
        abort();
        results(given_);
        dismiss();
        std::promise<void> joined;
        home.get().post([&] { pool->join([&] { joined.set_value(); }); });
        joined.get_future().wait();
    }

    // Gives a job to a worker that idles, if there is one, else to a new one.
    void give(DeliveryJob job) {
        ++given_;
        home.get().post([this, job] {
            if (idle_.empty()) return start(job);
            const auto worker = *idle_.begin();
            idle_.erase(worker);
            pool->assign(worker, job);
        });
    }
    void give_to_new(std::string destination) {
        ++given_;
        auto job = make_job({"a@d.example"});
        job.destination = std::move(destination);
        home.get().post([this, job] { start(job); });
    }
    // All workers that idle.
    void dismiss() {
        home.get().post([this] {
            for (const auto worker : std::exchange(idle_, {})) pool->dismiss(worker);
        });
    }
    void abort() {
        home.get().post([this] { pool->abort(); });
    }

    void job_ended(WorkerId worker, JobResult result, WorkerAfter after) override {
        if (after == WorkerAfter::lingers) idle_.insert(worker);
        const std::lock_guard lock(mutex_);
        results_.push_back(std::move(result));
        alive_ -= after == WorkerAfter::gone ? 1 : 0;
        changed_.notify_all();
    }
    void worker_gone(WorkerId worker) override {
        idle_.erase(worker);
        const std::lock_guard lock(mutex_);
        --alive_;
        changed_.notify_all();
    }

    // Waits for `count` results since the start.
    std::vector<JobResult> results(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return results_.size() >= count; });
        return results_;
    }
    void wait_until_gone() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return alive_ == 0; });
    }

    DnsServer dns;
    runtime::SystemClock clock;
    runtime::Metrics metrics;
    FakeMessages messages;
    RunningShard home;
    RunningShard other;
    std::unique_ptr<DeliveryPool> pool;

private:
    void start(const DeliveryJob& job) {
        {
            const std::lock_guard lock(mutex_);
            ++alive_;
        }
        const WorkerId worker{++started_};
        pool->start(worker, job.destination);
        pool->assign(worker, job);
    }

    std::size_t given_ = 0;
    std::uint64_t started_ = 0;  // home's
    std::set<WorkerId> idle_;    // home's
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<JobResult> results_;
    int alive_ = 0;
};

OutcomeKind kind_of(const JobResult& result) {
    return result.outcomes.at(0).kind;
}

}  // namespace

TEST_CASE("a worker finds its destination, delivers, and keeps its connection for the next job") {
    SmtpServer server;
    PoolFixture fixture(server.port());
    fixture.give(make_job({"a@d.example"}));
    CHECK(kind_of(fixture.results(1)[0]) == OutcomeKind::delivered);
    fixture.give(make_job({"b@d.example"}));
    CHECK(kind_of(fixture.results(2)[1]) == OutcomeKind::delivered);
    CHECK(server.connections() == 1);
    const auto text = fixture.metrics.text();
    CHECK(text.find("posthorse_delivery_outcomes_total{result=\"delivered\"} 2") !=
          std::string::npos);
    CHECK(text.find("posthorse_delivery_connections_total{result=\"clear\"} 1") !=
          std::string::npos);
}

TEST_CASE("workers are spread over the shards") {
    SmtpServer server;
    PoolFixture fixture(server.port());
    for (int i = 0; i < 8; ++i) fixture.give_to_new("mx:d.example");
    for (const auto& result : fixture.results(8)) CHECK(kind_of(result) == OutcomeKind::delivered);
    CHECK(server.connections() == 8);
}

TEST_CASE("a worker that lingered long enough leaves, in good order") {
    SmtpServer server;
    PoolFixture fixture(server.port(), [](LaneSettings& s) { s.idle_connection = 1ms; });
    fixture.give(make_job({"a@d.example"}));
    fixture.results(1);
    fixture.wait_until_gone();
    CHECK(server.commands().back() == "QUIT");
}

TEST_CASE("a worker that is dismissed leaves") {
    SmtpServer server;
    PoolFixture fixture(server.port());
    fixture.give(make_job({"a@d.example"}));
    fixture.results(1);
    fixture.dismiss();
    fixture.wait_until_gone();
    CHECK(server.commands().back() == "QUIT");
}

TEST_CASE("a job that crosses the worker's farewell is taken, over a fresh connection") {
    SmtpServer server;
    PoolFixture fixture(server.port(), [](LaneSettings& s) { s.idle_connection = 1ms; });
    for (std::size_t round = 1; round <= 50; ++round) {
        // The next job is given as soon as the last one ended: about when the worker leaves.
        fixture.give(make_job({"a@d.example"}));
        CHECK(kind_of(fixture.results(round)[round - 1]) == OutcomeKind::delivered);
    }
}

TEST_CASE("a connection is changed after its share of messages") {
    SmtpServer server;
    PoolFixture fixture(server.port(), [](LaneSettings& s) { s.messages_per_connection_max = 3; });
    fixture.give(make_job({"a@d.example"}));
    for (std::size_t done = 1; done < 9; ++done) {
        fixture.results(done);
        fixture.give(make_job({"a@d.example"}));
    }
    fixture.results(9);
    CHECK(server.connections() == 3);
    CHECK(server.mails().size() == 9);
}

TEST_CASE("a connection that the server closed meanwhile costs no attempt") {
    std::atomic<int> served = 0;
    SmtpServer server([&](Peer& peer) {
        peer.write("220 hi\r\n");
        for (auto line = peer.read_line(); line != "DATA"; line = peer.read_line()) {
            peer.write("250 ok\r\n");
        }
        peer.write("354 ok\r\n");
        peer.read_until("\r\n.\r\n");
        ++served;
        peer.write("250 ok\r\n");  // and hangs up
    });
    PoolFixture fixture(server.port());
    fixture.give(make_job({"a@d.example"}));
    for (std::size_t done = 1; done <= 10; ++done) {
        CHECK(kind_of(fixture.results(done)[done - 1]) == OutcomeKind::delivered);
        fixture.give(make_job({"a@d.example"}));
    }
    CHECK(kind_of(fixture.results(11)[10]) == OutcomeKind::delivered);
    CHECK(served == 11);
}

TEST_CASE("a destination that nobody reaches is told so, and the worker is gone") {
    std::uint16_t closed = 0;
    {
        SmtpServer gone;
        closed = gone.port();
    }
    PoolFixture fixture(closed);
    fixture.give(make_job({"a@d.example", "b@d.example"}));
    const auto result = fixture.results(1)[0];
    CHECK(result.health == DestinationHealth::unreachable);
    CHECK(result.outcomes.size() == 2);
    CHECK(kind_of(result) == OutcomeKind::deferred);
    fixture.wait_until_gone();
}

TEST_CASE("a domain that does not exist fails its recipients; that is no fault of a destination") {
    PoolFixture fixture(25);
    fixture.give_to_new("mx:gone.example");
    const auto result = fixture.results(1)[0];
    CHECK(kind_of(result) == OutcomeKind::failed);
    CHECK(result.outcomes[0].status.reply.enhanced == EnhancedCode{5, 1, 2});
    CHECK(result.health == DestinationHealth::good);
    fixture.wait_until_gone();  // there is no connection to keep
}

TEST_CASE("a destination that hangs holds up no other") {
    SmtpServer hangs([](Peer& peer) { peer.read_to_end(); });
    SmtpServer good;
    PoolFixture fixture(good.port());
    const auto slow = "smtp:[127.0.0.1]:" + std::to_string(hangs.port());
    for (int i = 0; i < 10; ++i) fixture.give_to_new(slow);
    fixture.give_to_new("mx:d.example");
    CHECK(fixture.results(1)[0].destination == "mx:d.example");
}

TEST_CASE("abort ends what is under way, in the DNS too, and what comes after") {
    SmtpServer hangs([](Peer& peer) { peer.read_to_end(); });
    PoolFixture fixture(hangs.port());
    fixture.give(make_job({"a@d.example"}));
    while (hangs.connections() == 0) std::this_thread::yield();
    fixture.dns.mode = DnsServer::Mode::silent;
    fixture.give_to_new("mx:unknown.example");
    fixture.give_to_new("mx:unknown2.example");
    fixture.abort();
    fixture.give_to_new("mx:unknown3.example");
    for (const auto& result : fixture.results(4)) {
        CHECK(kind_of(result) == OutcomeKind::deferred);
        CHECK_FALSE(in_doubt(result.outcomes));
    }
}

TEST_CASE("the configuration's settings arrive") {
    config::Config config;
    config.host_name = "mail.example";
    config.delivery.tls = "required";
    config.delivery.port = 2525;
    config.delivery.dns_servers = {"127.0.0.1:5353"};
    config.delivery.messages_per_connection_max = 7;
    auto settings = lane_settings(config, {"mail.example"});
    CHECK(settings.connection.helo == "mail.example");
    CHECK(settings.connection.tls == smtp::TlsUse::required);
    CHECK(settings.addresses.port == 2525);
    CHECK(settings.addresses.own_names == std::vector<std::string>{"mail.example"});
    CHECK(settings.dns.servers == std::vector<std::string>{"127.0.0.1:5353"});
    CHECK(settings.messages_per_connection_max == 7);
    config.delivery.helo_name = "out.example";
    config.delivery.tls = "never";
    settings = lane_settings(config, {});
    CHECK(settings.connection.helo == "out.example");
    CHECK(settings.connection.tls == smtp::TlsUse::never);
}
