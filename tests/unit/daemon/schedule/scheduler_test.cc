// The scheduler over a real queue (in memory), with workers that the test plays.
#include "daemon/schedule/scheduler.h"

#include <map>
#include <set>

#include <doctest/doctest.h>

#include "daemon/runtime/system_clock.h"
#include "storage/memory_store.h"
#include "tests/unit/replication/fake_pool.h"

using namespace posthorse;
using namespace posthorse::schedule;
using namespace std::chrono_literals;

namespace {

class Fixture : public DeliveryWorkers {
public:
    explicit Fixture(Limits limits = {.retry = {20ms, 100ms}}) {
        store = storage::open_memory_store(disk, home, home).value();
        replication::ReplicatedQueue::Settings settings;
        settings.random = [] { return 0u; };
        queue = std::make_unique<replication::ReplicatedQueue>(clock, *store, control, peers, home,
                                                               settings);
        bool started = false;
        queue->start([&](Result<void> result) { started = result.has_value(); });
        run_until([&] { return started; });
        scheduler = std::make_unique<Scheduler>(
            home, clock, *queue, *this,
            [this](Ended ended, UniqueFunction<void()> done) {
                settle(std::move(ended), std::move(done));
            },
            Scheduler::Settings{limits, {}, 1});
    }
    ~Fixture() override {
        scheduler.reset();
        queue.reset();
        store.reset();
        home.context().poll();
    }

    template <class Condition>
    void run_until(Condition condition) {
        while (!condition()) {
            queue->tick();
            home.context().run_one();
        }
    }

    // A message that was accepted and is claimed still.
    Envelope accept(std::vector<std::string> addresses) {
        std::optional<QueueId> id;
        queue->begin(0, 0, [&](Result<QueueId> minted) { id = minted.value(); });
        run_until([&] { return id.has_value(); });
        Envelope envelope;
        envelope.id = *id;
        envelope.sender = "sender@example.org";
        for (auto& address : addresses) envelope.recipients.push_back({.address = address});
        envelope.accepted_at = envelope.due_at = clock.wall();
        envelope.expires_at = clock.wall() + 1h;
        envelope.warn_at = never;
        bool stored = false;
        queue->commit(envelope, make_chunk("x"),
                      [&](Result<void> result) { stored = result.has_value(); });
        run_until([&] { return stored; });
        envelope.version = 1;
        return envelope;
    }
    // One that waits in the queue.
    QueueId enqueue(std::vector<std::string> addresses) {
        const auto envelope = accept(std::move(addresses));
        queue->park(envelope.id, WallTime{});
        return envelope.id;
    }
    void end(WorkerId worker, OutcomeKind kind) {
        const auto job = running.at(worker);
        running.erase(worker);
        JobResult result{.id = job.id, .attempt = job.attempt, .destination = job.destination};
        for (const auto recipient : job.recipients) {
            result.outcomes.push_back({.recipient = recipient, .kind = kind, .status = {}});
        }
        scheduler->job_ended(worker, std::move(result), WorkerAfter::lingers);
    }
    std::uint64_t messages() const { return queue->counters().messages; }

    void start(WorkerId worker, const std::string&) override { workers.insert(worker); }
    void assign(WorkerId worker, DeliveryJob job) override {
        REQUIRE(workers.contains(worker));
        running[worker] = std::move(job);
        ++assigned;
    }
    void dismiss(WorkerId worker) override { dismissed.insert(worker); }

    runtime::SystemClock clock;
    runtime::Shard home{0};  // its loop is run by the test
    storage::MemoryDisk disk;
    tests::LoneControl control{home};
    replication::NoPeers peers;
    std::unique_ptr<storage::QueueStore> store;
    std::unique_ptr<replication::ReplicatedQueue> queue;
    std::unique_ptr<Scheduler> scheduler;
    std::set<WorkerId> workers;
    std::set<WorkerId> dismissed;
    std::map<WorkerId, DeliveryJob> running;
    std::size_t assigned = 0;
    std::size_t settled = 0;

private:
    void settle(Ended ended, UniqueFunction<void()> done) {
        replication::Settlement settlement{.id = ended.envelope.id,
                                           .outcomes = std::move(ended.outcomes),
                                           .next_due = ended.next_due,
                                           .notices = {},
                                           .ended_attempts = std::move(ended.ended_attempts)};
        queue->settle(std::move(settlement), [this, done = std::move(done)](Result<void>) mutable {
            ++settled;
            done();
        });
    }
};

}  // namespace

TEST_CASE("a fresh message goes at once, and ends in the queue's books") {
    Fixture fixture;
    fixture.scheduler->start();
    fixture.scheduler->offer(fixture.accept({"a@a.example"}));
    fixture.run_until([&] { return fixture.running.size() == 1; });
    fixture.end(fixture.running.begin()->first, OutcomeKind::delivered);
    fixture.run_until([&] { return fixture.settled == 1; });
    CHECK(fixture.messages() == 0);
}

TEST_CASE("what waits in the queue at the start is claimed") {
    Fixture fixture;
    for (int i = 0; i < 3; ++i) fixture.enqueue({"a@a.example"});
    fixture.scheduler->start();
    fixture.run_until([&] { return fixture.running.size() == 3; });
    CHECK(fixture.queue->counters().claimed == 3);
}

TEST_CASE("a deferred message comes back when it is due, without anybody calling") {
    Fixture fixture;
    fixture.scheduler->start();
    fixture.scheduler->offer(fixture.accept({"a@a.example"}));
    for (std::size_t attempt = 1; attempt <= 3; ++attempt) {
        fixture.run_until([&] { return fixture.assigned == attempt; });
        fixture.end(fixture.running.begin()->first, OutcomeKind::deferred);
    }
    fixture.run_until([&] { return fixture.assigned == 4; });
    CHECK(fixture.settled == 3);
    CHECK(fixture.messages() == 1);
}

TEST_CASE("more than there is room for is claimed as room comes") {
    Fixture fixture({.active_max = 10, .retry = {20ms, 100ms}});
    for (int i = 0; i < 100; ++i) fixture.enqueue({"a@" + std::to_string(i) + ".example"});
    fixture.scheduler->start();
    while (fixture.settled < 100) {
        fixture.run_until([&] { return !fixture.running.empty() || fixture.settled == 100; });
        CHECK(fixture.running.size() <= 10);
        while (!fixture.running.empty()) {
            fixture.end(fixture.running.begin()->first, OutcomeKind::delivered);
        }
    }
    CHECK(fixture.messages() == 0);
}

TEST_CASE("a fresh message for which there is no room is delivered later") {
    Fixture fixture({.active_max = 1, .retry = {20ms, 100ms}});
    fixture.scheduler->start();
    fixture.scheduler->offer(fixture.accept({"a@a.example"}));
    fixture.scheduler->offer(fixture.accept({"b@b.example"}));
    fixture.run_until([&] { return fixture.assigned == 1; });
    CHECK(fixture.queue->counters().claimed == 1);
    fixture.end(fixture.running.begin()->first, OutcomeKind::delivered);
    fixture.run_until([&] { return fixture.assigned == 2; });
}

TEST_CASE("stop gives back what does not run and waits for what runs") {
    Fixture fixture({.connections_max = 1, .retry = {20ms, 100ms}});
    fixture.scheduler->start();
    for (int i = 0; i < 5; ++i) fixture.scheduler->offer(fixture.accept({"a@a.example"}));
    fixture.run_until([&] { return fixture.running.size() == 1; });
    bool drained = false;
    fixture.scheduler->stop([&] { drained = true; });
    fixture.home.context().poll();
    CHECK_FALSE(drained);
    fixture.end(fixture.running.begin()->first, OutcomeKind::delivered);
    CHECK_FALSE(drained);  // the settlement is not stored yet
    fixture.run_until([&] { return drained; });
    CHECK(fixture.settled == 1);
    CHECK(fixture.messages() == 4);
    CHECK(fixture.queue->counters().claimed == 0);
    CHECK(fixture.dismissed.size() == 1);
    fixture.scheduler->worker_gone(*fixture.workers.begin());
    fixture.home.context().poll();
    CHECK(fixture.assigned == 1);
}

TEST_CASE("a scheduler without mail is drained at once") {
    Fixture fixture;
    fixture.scheduler->start();
    bool drained = false;
    fixture.scheduler->stop([&] { drained = true; });
    fixture.run_until([&] { return drained; });
}

TEST_CASE("an operator's removal reaches what waits for a connection") {
    Fixture fixture({.connections_max = 1, .retry = {20ms, 100ms}});
    fixture.scheduler->start();
    fixture.scheduler->offer(fixture.accept({"a@a.example"}));
    const auto waiting = fixture.accept({"a@a.example"});
    fixture.scheduler->offer(waiting);
    bool removed = false;
    fixture.queue->act(waiting.id, replication::Action::remove, "test",
                       [&](Result<Envelope>) { removed = true; });
    fixture.run_until([&] { return removed; });
    fixture.scheduler->forget(waiting.id, Withdrawal::removed);
    fixture.end(fixture.running.begin()->first, OutcomeKind::delivered);
    fixture.run_until([&] { return fixture.settled == 1; });
    CHECK(fixture.assigned == 1);
    CHECK(fixture.messages() == 0);
}
