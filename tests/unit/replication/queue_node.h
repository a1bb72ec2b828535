// One node of a test's pool: a replicated queue over a disk in memory, with its calls made one
// after another.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replication/replicated_queue.h"
#include "storage/memory_store.h"
#include "tests/unit/replication/fake_pool.h"
#include "tests/unit/support/manual_clock.h"
#include "tests/unit/support/manual_executor.h"

namespace posthorse::tests {

// The executor of a disk that can be made to stand still.
class SlowDisk final : public Executor {
public:
    explicit SlowDisk(Executor& home) : home_(home) {}

    void post(UniqueFunction<void()> work) override {
        if (stalled_) return waiting_.push_back(std::move(work));
        home_.post(std::move(work));
    }
    void stall() { stalled_ = true; }
    void go_on() {
        stalled_ = false;
        for (auto& work : std::exchange(waiting_, {})) home_.post(std::move(work));
    }

private:
    Executor& home_;
    bool stalled_ = false;
    std::vector<UniqueFunction<void()>> waiting_;
};

struct QueueNode {
    using Settings = replication::ReplicatedQueue::Settings;
    static constexpr std::string_view head = "Subject: x\r\n\r\nhi\r\n";

    QueueNode(ManualExecutor& executor, ManualClock& time) : home(executor), clock(time) {
        settings.random = [] { return 0u; };
    }

    void start_process(FakePool& pool,
                       NodeId self,
                       Incarnation incarnation,
                       replication::PeerStreams& streams) {
        control = std::make_unique<FakeControl>(pool, self, incarnation, home);
        store = storage::open_memory_store(disk, home, disk_work).value();
        queue = std::make_unique<replication::ReplicatedQueue>(clock, *store, *control, streams,
                                                               home, settings);
        queue->on_due([this] { ++wakes; });
        queue->on_acted(
            [this](QueueId id, replication::Action action) { acted.emplace_back(id, action); });
        queue->on_bounce_in_doubt([this](Envelope envelope) { bounced.push_back(envelope.id); });
        queue->on_told(
            [this](Envelope envelope, std::uint32_t attempt, std::vector<RecipientOutcome> how) {
                told.push_back({std::move(envelope), attempt, std::move(how)});
            });
        queue->start([this](Result<void> result) {
            REQUIRE(result.has_value());
            started = true;
        });
    }
    void end_process() {
        queue.reset();
        store.reset();
        control.reset();
        started = false;
        home.run();
    }

    // --- accept
    QueueId begin(std::uint32_t copies = 0) {
        std::optional<QueueId> id;
        queue->begin(0, copies, [&](Result<QueueId> result) {
            REQUIRE_MESSAGE(result.has_value(), result.error().what);
            id = *result;
        });
        home.run();
        return id.value();
    }
    // Why no message may begin; nullopt: it may.
    std::optional<Errc> refuses() {
        std::optional<Errc> refused;
        queue->begin(0, 0, [&](Result<QueueId> result) {
            if (!result)
                refused = result.error().code;
            else
                queue->abort(*result);
        });
        home.run();
        return refused;
    }
    Envelope envelope(QueueId id) const {
        Envelope made;
        made.id = id;
        made.sender = "a@example.org";
        made.recipients = {{.address = "b@example.net"}, {.address = "c@example.net"}};
        made.accepted_at = made.due_at = clock.wall();
        made.expires_at = clock.wall() + std::chrono::hours{96};
        made.warn_at = never;
        made.size_bytes = head.size();
        made.history = {{clock.wall(), control->self(), "accepted"}};
        return made;
    }
    // `done` is set when the chunk has been taken.
    void append(QueueId id, std::uint32_t index, std::string bytes, bool& done) {
        queue->append(id, index, make_chunk(std::move(bytes)),
                      [&done](Result<void> result) { done = result.has_value(); });
    }
    // Starts a commit; `answer` is filled when it is done.
    void commit(QueueId id, std::optional<Result<void>>& answer, std::uint32_t chunk_count = 0) {
        auto made = envelope(id);
        made.chunk_count = chunk_count;
        queue->commit(std::move(made), make_chunk(std::string(head)),
                      [&answer](Result<void> result) { answer = result; });
        home.run();
    }
    // A message that was accepted, and is claimed.
    QueueId accepted(std::uint32_t copies = 0) {
        const auto id = begin(copies);
        std::optional<Result<void>> answer;
        commit(id, answer);
        REQUIRE(answer.has_value());
        REQUIRE_MESSAGE(answer->has_value(), answer->error().what);
        return id;
    }
    // And is nobody's now, due at once.
    QueueId waiting(std::uint32_t copies = 0) {
        const auto id = accepted(copies);
        queue->park(id, clock.wall());
        home.run();
        return id;
    }

    // --- deliver
    std::vector<Envelope> claim() {
        std::vector<Envelope> found;
        queue->claim(100, [&](Result<std::vector<Envelope>> result) { found = result.value(); });
        home.run();
        return found;
    }
    Result<void> settle(replication::Settlement settlement) {
        std::optional<Result<void>> answer;
        queue->settle(std::move(settlement), [&](Result<void> result) { answer = result; });
        home.run();
        queue->tick();
        home.run();
        return answer.value();
    }
    Result<Envelope> act(QueueId id, replication::Action action) {
        std::optional<Result<Envelope>> answer;
        queue->act(id, action, "by test", [&](Result<Envelope> result) { answer = result; });
        home.run();
        return answer.value();
    }
    Result<Envelope> find(QueueId id) {
        std::optional<Result<Envelope>> answer;
        queue->find(id, [&](Result<Envelope> result) { answer = result; });
        home.run();
        return answer.value();
    }
    // Starts the record of an attempt; `answer` is filled when it is done.
    void intend(QueueId id,
                std::uint32_t attempt,
                std::vector<std::uint32_t> recipients,
                std::optional<Result<void>>& answer) {
        Intent intent{.id = id,
                      .attempt = attempt,
                      .recipients = std::move(recipients),
                      .remote = "mx.example.net",
                      .started = clock.wall()};
        queue->intend(std::move(intent), [&answer](Result<void> result) { answer = result; });
        home.run();
    }
    void intend(QueueId id, std::uint32_t attempt, std::vector<std::uint32_t> recipients) {
        std::optional<Result<void>> answer;
        intend(id, attempt, std::move(recipients), answer);
        REQUIRE(answer.has_value());
        REQUIRE(answer->has_value());
    }

    // --- what is on the disk
    std::size_t open_intents(PartitionId partition = PartitionId{1}) {
        std::size_t count = 99;
        store->intents(partition,
                       [&](Result<std::vector<Intent>> found) { count = found->size(); });
        home.run();
        return count;
    }
    std::vector<Envelope> stored(PartitionId partition = PartitionId{1}) {
        std::vector<Envelope> all;
        store->list(partition, {}, 10'000,
                    [&](Result<std::vector<Envelope>> found) { all = found.value(); });
        home.run();
        return all;
    }
    // Chunk 0 is the head. Empty: there is no such chunk.
    std::string stored_chunk(QueueId id, std::uint32_t index) {
        std::string bytes;
        store->chunk(id, index, [&](Result<Chunk> found) {
            if (found) bytes = **found;
        });
        home.run();
        return bytes;
    }

    struct Told {
        Envelope envelope;
        std::uint32_t attempt = 0;
        std::vector<RecipientOutcome> outcomes;
    };

    ManualExecutor& home;
    ManualClock& clock;
    Settings settings;
    storage::MemoryDisk disk;
    SlowDisk disk_work{home};
    std::unique_ptr<FakeControl> control;
    std::unique_ptr<storage::QueueStore> store;
    std::unique_ptr<replication::ReplicatedQueue> queue;
    bool started = false;
    int wakes = 0;
    std::vector<QueueId> bounced;
    std::vector<Told> told;
    std::vector<std::pair<QueueId, replication::Action>> acted;
};

inline RecipientOutcome outcome(std::uint32_t recipient, OutcomeKind kind) {
    return {recipient, kind, {.reply = {250, {2, 0, 0}, "ok"}, .remote = "mx"}};
}

}  // namespace posthorse::tests
