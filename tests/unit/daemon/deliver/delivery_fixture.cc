#include "tests/unit/daemon/deliver/delivery_fixture.h"

#include "daemon/runtime/tls.h"

namespace posthorse::tests {
namespace {

namespace asio = boost::asio;
using deliver::Candidate;
using deliver::Connection;

asio::awaitable<void> open_into(Connection* connection,
                                std::vector<Candidate> candidates,
                                std::optional<deliver::Refusal>* refusal) {
    *refusal = co_await connection->open(std::move(candidates));
}

asio::awaitable<void> deliver_into(Connection* connection,
                                   DeliveryJob job,
                                   Connection::Attempt* attempt) {
    *attempt = co_await connection->deliver(std::move(job));
}

asio::awaitable<void> usable_into(Connection* connection, bool* usable) {
    *usable = connection->usable();
    co_return;
}

}  // namespace

FakeMessages::FakeMessages() : chunks_{"Subject: test\r\n\r\nHello.\r\n"} {}

deliver::MessagePort FakeMessages::port() {
    return {.read_chunk =
                [this](QueueId, std::uint32_t index, Completion<Chunk> done) {
                    std::unique_lock lock(mutex_);
                    if (index == lost_) return never_.push_back(std::move(done));
                    if (index == failing_ || index >= chunks_.size()) {
                        lock.unlock();
                        return done(Error{Errc::corrupt, "chunk " + std::to_string(index)});
                    }
                    auto chunk = make_chunk(chunks_[index]);
                    lock.unlock();
                    done(std::move(chunk));
                },
            .intend =
                [this](Intent intent, Completion<> done) {
                    std::unique_lock lock(mutex_);
                    intents_.push_back(std::move(intent));
                    if (hold_) return held_.push_back(std::move(done));
                    lock.unlock();
                    done({});
                },
            .may_send_dot =
                [this](QueueId, std::uint32_t, Completion<bool> done) {
                    std::unique_lock lock(mutex_);
                    ++dots_asked_;
                    const bool permit = permit_;
                    const auto call = std::exchange(at_dot_, {});
                    lock.unlock();
                    if (call) call();
                    done(permit);
                }};
}

void FakeMessages::set_chunks(std::vector<std::string> chunks) {
    const std::lock_guard lock(mutex_);
    chunks_ = std::move(chunks);
}
void FakeMessages::permit_dot(bool permit) {
    const std::lock_guard lock(mutex_);
    permit_ = permit;
}
void FakeMessages::fail_chunk(std::uint32_t index) {
    const std::lock_guard lock(mutex_);
    failing_ = index;
}
void FakeMessages::lose_chunk(std::uint32_t index) {
    const std::lock_guard lock(mutex_);
    lost_ = index;
}
void FakeMessages::hold_intents() {
    const std::lock_guard lock(mutex_);
    hold_ = true;
}
void FakeMessages::release_intents() {
    std::unique_lock lock(mutex_);
    hold_ = false;
    auto held = std::exchange(held_, {});
    lock.unlock();
    for (auto& done : held) done({});
}
void FakeMessages::at_dot(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    at_dot_ = std::move(call);
}
std::vector<Intent> FakeMessages::intents() const {
    const std::lock_guard lock(mutex_);
    return intents_;
}
int FakeMessages::dots_asked() const {
    const std::lock_guard lock(mutex_);
    return dots_asked_;
}

DeliveryJob make_job(std::vector<std::string> addresses, std::uint32_t chunk_count) {
    static std::atomic<std::uint32_t> last = 0;
    DeliveryJob job;
    job.id = QueueId::make(WallTime{}, PartitionId{1}, Epoch{1}, ++last);
    job.attempt = 1;
    job.destination = "mx:d.example";
    job.sender = "sender@example.org";
    job.chunk_count = chunk_count;
    for (auto& address : addresses) {
        job.recipients.push_back(7 + static_cast<std::uint32_t>(job.recipients.size()));
        job.addresses.push_back(std::move(address));
    }
    return job;
}

deliver::Connection::Settings DeliveryFixture::default_settings() {
    deliver::Connection::Settings settings;
    settings.helo = "client.example";
    return settings;
}

DeliveryFixture::DeliveryFixture(deliver::Connection::Settings with) : settings(std::move(with)) {
    connection = std::make_unique<Connection>(shard.get(), settings, runtime::make_client_context(),
                                              port, clock);
}

DeliveryFixture::~DeliveryFixture() {
    std::promise<void> gone;
    shard.get().post([&] {
        connection.reset();
        gone.set_value();
    });
    gone.get_future().wait();
}

std::optional<deliver::Refusal> DeliveryFixture::open(std::vector<std::uint16_t> ports) {
    std::vector<Candidate> candidates;
    for (const auto number : ports) candidates.push_back({"mx.example", "127.0.0.1", number});
    return open(std::move(candidates));
}

std::optional<deliver::Refusal> DeliveryFixture::open(std::vector<Candidate> candidates) {
    std::optional<deliver::Refusal> refusal;
    shard.run(open_into(connection.get(), std::move(candidates), &refusal));
    return refusal;
}

Connection::Attempt DeliveryFixture::deliver(DeliveryJob job) {
    Connection::Attempt attempt;
    shard.run(deliver_into(connection.get(), std::move(job), &attempt));
    return attempt;
}

bool DeliveryFixture::usable() {
    bool usable = false;
    shard.run(usable_into(connection.get(), &usable));
    return usable;
}

void DeliveryFixture::quit() {
    shard.run(connection->quit());
}

void DeliveryFixture::abort() {
    shard.get().post([this] { connection->abort(); });
}

void DeliveryFixture::lose_lease() {
    shard.get().post([this] { connection->lease_lost(); });
}

}  // namespace posthorse::tests
