// A shard, a message in pieces, and one connection: what tests of delivery share.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "daemon/deliver/connection.h"
#include "daemon/runtime/system_clock.h"
#include "tests/unit/daemon/deliver/smtp_server.h"
#include "tests/unit/support/running_shard.h"

namespace posthorse::tests {

// The queue's side of an attempt, with what it was asked. Any thread.
class FakeMessages {
public:
    FakeMessages();
    deliver::MessagePort port();

    void set_chunks(std::vector<std::string> chunks);
    void permit_dot(bool permit);
    void fail_chunk(std::uint32_t index);
    // It never comes.
    void lose_chunk(std::uint32_t index);
    // Intents wait until release_intents().
    void hold_intents();
    void release_intents();
    // Called, once, in may_send_dot.
    void at_dot(std::function<void()> call);

    std::vector<Intent> intents() const;
    int dots_asked() const;

private:
    mutable std::mutex mutex_;
    std::vector<std::string> chunks_;
    std::optional<std::uint32_t> failing_;
    std::optional<std::uint32_t> lost_;
    std::vector<Completion<Chunk>> never_;
    bool permit_ = true;
    bool hold_ = false;
    std::vector<Completion<>> held_;
    std::vector<Intent> intents_;
    int dots_asked_ = 0;
    std::function<void()> at_dot_;
};

DeliveryJob make_job(std::vector<std::string> addresses, std::uint32_t chunk_count = 0);

class DeliveryFixture {
public:
    explicit DeliveryFixture(deliver::Connection::Settings settings = default_settings());
    ~DeliveryFixture();

    static deliver::Connection::Settings default_settings();

    // nullopt: open.
    std::optional<deliver::Refusal> open(std::vector<std::uint16_t> ports);
    std::optional<deliver::Refusal> open(std::vector<deliver::Candidate> candidates);
    deliver::Connection::Attempt deliver(DeliveryJob job);
    bool usable();
    void quit();
    void abort();
    void lose_lease();

    runtime::SystemClock clock;
    RunningShard shard;
    FakeMessages messages;  // what it never answers has timers of the shard
    deliver::MessagePort port = messages.port();
    deliver::Connection::Settings settings;
    std::unique_ptr<deliver::Connection> connection;
};

}  // namespace posthorse::tests
