// A whole intake on loopback over a queue in memory, and a client that talks to it line by line.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "daemon/auth/sasl.h"
#include "daemon/intake/listener.h"
#include "daemon/runtime/system_clock.h"
#include "storage/memory_store.h"
#include "tests/unit/replication/fake_pool.h"
#include "tests/unit/support/running_shard.h"
#include "tests/unit/support/temporary_directory.h"

namespace posthorse::tests {

// "ann@example.org" with the password "secret" is the only login.
class OneLogin final : public auth::Authenticator {
public:
    void check(auth::LoginAttempt attempt, Executor& where, Completion<bool> done) override {
        const bool good = attempt.login == "ann@example.org" && attempt.password == "secret";
        where.post([good, done = std::move(done)]() mutable { done(good); });
    }
    bool knows_scram() const override { return true; }
    auth::ScramKeys scram_keys(std::string_view login) const override {
        return login == "ann@example.org" ? ann_ : auth::made_up_keys("of this test", login);
    }

private:
    const auth::ScramKeys ann_ = *auth::make_scram_keys("secret", "saltsaltsaltsalt");
};

class IntakeFixture {
public:
    explicit IntakeFixture(config::Config config = default_config());
    ~IntakeFixture();

    // Listeners "submission", "submissions" and "mx" on free ports of loopback.
    static config::Config default_config();

    std::uint16_t port(const char* listener) const { return listeners->port(listener); }
    // What was accepted so far, and one message's stored bytes.
    std::vector<Envelope> accepted();
    Envelope kept(QueueId id);
    std::string stored(const Envelope& envelope);
    // Until so many are open.
    void wait_for_sessions(std::size_t count);
    // Begins a stop; true once every session is gone.
    std::future<void> stop();

    config::Config config;
    TemporaryDirectory place;
    RunningShard shard;
    runtime::SystemClock clock;
    storage::MemoryDisk disk;
    std::unique_ptr<storage::QueueStore> store;
    LoneControl control{shard.get()};
    replication::NoPeers peers;
    std::unique_ptr<replication::ReplicatedQueue> queue;
    replication::PoolState pool;  // of nobody but this node
    replication::PoolCounts counts{
        tests::test_node(4),
        {.clock = clock,
         .pool = [this]() -> const replication::PoolState& { return pool; },
         .send = [](const replication::Member&,
                    replication::CountBatch,
                    Completion<std::vector<std::uint64_t>>) {}}};
    OneLogin authenticator;
    runtime::Reloadable<const auth::SenderPolicy> sender_policy;
    intake::AddressSet trusted;
    runtime::Workers signing_workers{1, 100, "sign"};
    runtime::Reloadable<boost::asio::ssl::context> server_tls;
    sign::Signer signer{"relaxed/relaxed"};
    runtime::Reloadable<const intake::RecipientMap> recipients;
    runtime::Reloadable<const intake::SenderMap> senders;
    std::atomic<intake::Door> door{intake::Door::open};
    runtime::Metrics registry;
    intake::IntakeMetrics metrics{registry};
    WallTime put_off_until{};  // what the scheduler would say; in the past: at once
    UniqueFunction<WallTime(const Envelope&)> first_due;
    UniqueFunction<void(Envelope)> on_accepted;
    std::unique_ptr<intake::IntakeContext> context;
    std::unique_ptr<intake::Listeners> listeners;

private:
    std::mutex mutex_;
    std::vector<Envelope> accepted_;
};

// A blocking client. say() returns the whole reply, lines joined by '\n'.
class Client {
public:
    explicit Client(std::uint16_t port, bool tls = false);
    std::string greeting() { return reply(); }
    std::string say(const std::string& line);
    void send(const std::string& bytes);
    std::string reply();
    void start_tls();
    void at_most_tls12();  // before start_tls()
    // What a client binds SCRAM to: RFC 9266, or RFC 5929 with TLS 1.2.
    std::string tls_exporter();
    std::string tls_unique();
    void drop();
    bool at_end();

private:
    bool read_more();

    boost::asio::io_context context_;
    boost::asio::ssl::context tls_context_{boost::asio::ssl::context::tls_client};
    boost::asio::ip::tcp::socket socket_{context_};
    std::unique_ptr<boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>> tls_;
    std::string buffer_;
};

}  // namespace posthorse::tests
