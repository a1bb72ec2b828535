// A replicated queue over a disk in memory, with the test's pool and holders around it.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <vector>

#include "replication/replicated_queue.h"
#include "storage/memory_store.h"
#include "tests/unit/replication/fake_pool.h"
#include "tests/unit/support/manual_clock.h"
#include "tests/unit/support/manual_executor.h"

namespace posthorse::tests {

// A queue over a disk in memory, with `holders` beside the owner.
struct QueuePool {
    explicit QueuePool(std::vector<NodeId> holder_nodes = {},
                       replication::InDoubtPolicy in_doubt = replication::InDoubtPolicy::resend)
        : control(std::move(holder_nodes)) {
        policy = in_doubt;
        start_process();
    }

    void start_process() {
        store = storage::open_memory_store(disk, home, home).value();
        replication::ReplicatedQueue::Settings settings;
        settings.in_doubt = policy;
        settings.random = [] { return 0u; };
        queue = std::make_unique<replication::ReplicatedQueue>(clock, *store, control, holders,
                                                               settings);
        queue->on_due([this] { ++wakes; });
        queue->on_acted(
            [this](QueueId id, replication::Action action) { acted.emplace_back(id, action); });
        queue->on_bounce_in_doubt([this](Envelope envelope) { bounced.push_back(envelope.id); });
        queue->start([](Result<void> result) { REQUIRE(result.has_value()); });
        home.run();
    }
    void kill_process() {
        queue.reset();
        store.reset();
        home.run();
    }
    void restart() {
        kill_process();
        start_process();
    }

    QueueId begin() {
        std::optional<QueueId> id;
        queue->begin(0, [&](Result<QueueId> result) { id = result.value(); });
        home.run();
        return id.value();
    }
    // Why no message may begin; nullopt: it may.
    std::optional<Errc> refuses() {
        std::optional<Errc> refused;
        queue->begin(0, [&](Result<QueueId> result) {
            if (!result) refused = result.error().code;
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
        return made;
    }
    // Starts a commit; `answer` is filled when it is done.
    void commit(QueueId id, std::optional<Result<void>>& answer) {
        queue->commit(envelope(id), make_chunk("Subject: x\r\n\r\nhi\r\n"),
                      [&answer](Result<void> result) { answer = result; });
        home.run();
    }
    QueueId accepted() {
        const auto id = begin();
        std::optional<Result<void>> answer;
        commit(id, answer);
        REQUIRE(answer.has_value());
        REQUIRE(answer->has_value());
        return id;
    }
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
    void intend(QueueId id, std::uint32_t attempt, std::vector<std::uint32_t> recipients) {
        bool recorded = false;
        queue->intend({id, attempt, std::move(recipients), "mx.example.net", clock.wall()},
                      [&](Result<void> result) { recorded = result.has_value(); });
        home.run();
        REQUIRE(recorded);
    }

    std::size_t open_intents() {
        std::size_t count = 99;
        store->intents(PartitionId{1},
                       [&](Result<std::vector<Intent>> found) { count = found->size(); });
        home.run();
        return count;
    }

    ManualExecutor home;
    ManualClock clock;
    storage::MemoryDisk disk;
    FakeControl control;
    FakeHolders holders;
    replication::InDoubtPolicy policy;
    std::unique_ptr<storage::QueueStore> store;
    std::unique_ptr<replication::ReplicatedQueue> queue;
    int wakes = 0;
    std::vector<QueueId> bounced;
    std::vector<std::pair<QueueId, replication::Action>> acted;
};

inline RecipientOutcome outcome(std::uint32_t recipient, OutcomeKind kind) {
    return {recipient, kind, {.reply = {250, {2, 0, 0}, "ok"}, .remote = "mx"}};
}

}  // namespace posthorse::tests
