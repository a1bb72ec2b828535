#include "tests/unit/daemon/intake/intake_fixture.h"

#include <doctest/doctest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/write.hpp>

#include "daemon/runtime/system_clock.h"
#include "daemon/runtime/tls.h"
#include "tests/unit/support/test_certificate.h"

namespace posthorse::tests {

namespace asio = boost::asio;
using config::ListenerKind;

config::Config IntakeFixture::default_config() {
    config::Config config;
    config.host_name = "mx.example.org";
    config.listeners = {{"submission", ListenerKind::submission, "127.0.0.1", 0},
                        {"submissions", ListenerKind::submissions, "127.0.0.1", 0},
                        {"mx", ListenerKind::mx, "127.0.0.1", 0}};
    config.intake.relay_domains = {"example.org"};
    config.auth.failure_delay = Duration{1};
    return config;
}

IntakeFixture::IntakeFixture(config::Config settings)
    : config(std::move(settings)),
      trusted(intake::AddressSet::parse(config.intake.trusted_networks).value()) {
    sender_policy.set(
        std::make_shared<const auth::SenderPolicy>(config.host_name, config.auth.exempt_logins));
    pool.members.push_back({.id = tests::test_node(4), .live = true});
    write_test_certificate(place.path());
    server_tls.set(
        runtime::make_server_context({place.path() + "/cert.pem", place.path() + "/key.pem"})
            .value());
    store = storage::open_memory_store(disk, shard.get(), shard.get()).value();
    replication::ReplicatedQueue::Settings queue_settings;
    queue_settings.random = [] { return 0u; };
    queue = std::make_unique<replication::ReplicatedQueue>(clock, *store, control, peers,
                                                           shard.get(), queue_settings);
    first_due = [this](const Envelope& envelope) {
        return std::max(envelope.due_at, put_off_until);
    };
    on_accepted = [this](Envelope envelope) {
        const std::lock_guard lock(mutex_);
        accepted_.push_back(std::move(envelope));
    };
    context = std::make_unique<intake::IntakeContext>(
        intake::IntakeContext{config, trusted, shard.get(), *queue, counts, clock, authenticator,
                              sender_policy, signing_workers, server_tls, signer, recipients,
                              senders, door, metrics, first_due, on_accepted, tests::test_node(4)});
    std::promise<void> started;
    shard.get().post([&] {
        queue->start([&](Result<void>) {
            listeners = std::make_unique<intake::Listeners>(
                *context, shard.get(), std::vector<runtime::Shard*>{&shard.get()});
            PH_ASSERT(listeners->start().has_value());
            started.set_value();
        });
    });
    started.get_future().wait();
}

IntakeFixture::~IntakeFixture() {
    if (listeners) {
        auto stopped = stop();
        listeners->abandon();
        stopped.wait();
    }
    std::promise<void> gone;
    shard.get().post([&] {
        listeners.reset();
        queue.reset();
        store.reset();
        gone.set_value();
    });
    gone.get_future().wait();
}

namespace {

asio::awaitable<void> stop_listeners(intake::Listeners& listeners,
                                     std::shared_ptr<std::promise<void>> done) {
    co_await listeners.stop();
    done->set_value();
}

}  // namespace

std::future<void> IntakeFixture::stop() {
    auto done = std::make_shared<std::promise<void>>();
    auto future = done->get_future();
    shard.get().post([this, done] { shard.tasks().spawn(stop_listeners(*listeners, done)); });
    return future;
}

void IntakeFixture::wait_for_sessions(std::size_t count) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    for (std::size_t open = count + 1; open != count;) {
        REQUIRE(std::chrono::steady_clock::now() < until);
        std::promise<std::size_t> answer;
        shard.get().post([&] { answer.set_value(listeners->sessions()); });
        open = answer.get_future().get();
    }
}

std::vector<Envelope> IntakeFixture::accepted() {
    const std::lock_guard lock(mutex_);
    return accepted_;
}

Envelope IntakeFixture::kept(QueueId id) {
    std::promise<Envelope> read;
    shard.get().post(
        [&] { queue->find(id, [&](Result<Envelope> kept) { read.set_value(kept.value()); }); });
    return read.get_future().get();
}

std::string IntakeFixture::stored(const Envelope& envelope) {
    std::string whole;
    for (std::uint32_t index = 0; index <= envelope.chunk_count; ++index) {
        std::promise<Chunk> read;
        shard.get().post([&] {
            queue->chunk(envelope.id, index,
                         [&](Result<Chunk> chunk) { read.set_value(chunk.value()); });
        });
        whole += *read.get_future().get();
    }
    return whole;
}

Client::Client(std::uint16_t port, bool tls) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    if (tls) start_tls();
}

void Client::start_tls() {
    buffer_.clear();
    tls_ = std::make_unique<asio::ssl::stream<asio::ip::tcp::socket&>>(socket_, tls_context_);
    tls_->handshake(asio::ssl::stream_base::client);
}

void Client::at_most_tls12() {
    SSL_CTX_set_max_proto_version(tls_context_.native_handle(), TLS1_2_VERSION);
}

std::string Client::tls_exporter() {
    constexpr std::string_view label = "EXPORTER-Channel-Binding";
    std::string octets(32, '\0');
    PH_ASSERT(SSL_export_keying_material(
                  tls_->native_handle(), reinterpret_cast<unsigned char*>(octets.data()),
                  octets.size(), label.data(), label.size(), nullptr, 0, 1) == 1);
    return octets;
}

std::string Client::tls_unique() {
    std::string octets(64, '\0');
    octets.resize(SSL_get_finished(tls_->native_handle(), octets.data(), octets.size()));
    return octets;
}

std::string Client::say(const std::string& line) {
    send(line + "\r\n");
    return reply();
}

void Client::send(const std::string& bytes) {
    if (tls_) {
        asio::write(*tls_, asio::buffer(bytes));
    } else {
        asio::write(socket_, asio::buffer(bytes));
    }
}

bool Client::read_more() {
    char piece[4096];
    boost::system::error_code code;
    const auto into = asio::buffer(piece);
    const auto count = tls_ ? tls_->read_some(into, code) : socket_.read_some(into, code);
    buffer_.append(piece, count);
    return !code;
}

std::string Client::reply() {
    std::string lines;
    for (;;) {
        const auto end = buffer_.find("\r\n");
        if (end == std::string::npos) {
            if (!read_more()) return lines + "<closed>";
            continue;
        }
        const auto line = buffer_.substr(0, end);
        buffer_.erase(0, end + 2);
        lines += line;
        if (line.size() < 4 || line[3] != '-') return lines;
        lines += '\n';
    }
}

bool Client::at_end() {
    while (read_more()) {
    }
    return buffer_.empty();
}

void Client::drop() {
    boost::system::error_code ignored;
    socket_.close(ignored);
}

}  // namespace posthorse::tests
