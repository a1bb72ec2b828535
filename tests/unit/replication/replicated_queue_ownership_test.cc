// What the queue does as partitions come, close and go.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>

#include "tests/unit/replication/queue_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

using Pool = QueuePool;

const NodeId second = test_node(2);

}  // namespace

// ------------------------------------------------------------------ ownership comes and goes

namespace {

const PartitionId first{1};

PartitionState& partition_in(PoolState& state, PartitionId id = first) {
    return *const_cast<PartitionState*>(state.find(id));
}

// The pool takes every partition from this node, or (an accepted value that was never committed)
// gives them back in their epochs.
void take_all(Pool& pool) {
    auto next = pool.control->read();
    for (auto& partition : next.partitions) partition.owner.reset();
    pool.control->become(std::move(next));
    pool.home.run();
}
enum class InEpoch : std::uint8_t { same, next };
void give_all(Pool& pool, InEpoch epoch) {
    auto next = pool.control->read();
    for (auto& partition : next.partitions) {
        partition.owner = pool.control->self();
        if (epoch == InEpoch::next) partition.epoch.value += 1;
    }
    pool.control->become(std::move(next));
    pool.home.run();
}

}  // namespace

TEST_CASE("what the pool takes is given up before anybody is answered") {
    Pool pool({second});
    std::optional<Result<void>> answer;
    const auto waits = pool.begin();
    pool.commit(waits, answer);
    pool.holders.acknowledge_all(second);
    REQUIRE(answer->has_value());
    const auto claimed = waits;
    std::optional<Result<void>> recorded;
    pool.intend(claimed, 1, {0}, recorded);
    pool.holders.acknowledge_received(second);
    CHECK(pool.queue->may_send_dot(claimed, 1));

    std::optional<Result<void>> unknown;
    pool.commit(pool.begin(), unknown);
    const auto arriving = pool.begin();
    auto next = pool.control->read();
    partition_in(next).owner = second;
    pool.control->become(next);
    // At once: nothing had to run for it.
    CHECK_FALSE(pool.queue->may_send_dot(claimed, 1));
    REQUIRE(unknown.has_value());
    CHECK(unknown->error().code == Errc::unknown);
    CHECK(pool.queue->counters().claimed == 0);
    CHECK(pool.queue->idle());
    std::optional<Result<void>> refused;
    pool.commit(arriving, refused);
    REQUIRE(refused.has_value());
    CHECK(refused->error().code == Errc::not_found);
    CHECK(pool.settle({.id = claimed}).error().code == Errc::not_found);
    CHECK(pool.claim().empty());
    CHECK(pool.refuses() == Errc::unavailable);
}

TEST_CASE("what comes back in its epoch goes on: sequences, ids and messages") {
    Pool pool({second});
    const auto before = pool.begin();
    std::optional<Result<void>> answer;
    pool.commit(before, answer);
    pool.holders.acknowledge_all(second);
    REQUIRE(answer->has_value());
    const auto stamp = pool.holders.received[second].back().stamp;
    take_all(pool);
    give_all(pool, InEpoch::same);
    const auto after = pool.begin();
    CHECK(after > before);  // never an id twice
    std::optional<Result<void>> again;
    pool.commit(after, again);
    CHECK(pool.holders.received[second].back().stamp.sequence > stamp.sequence);
    CHECK(pool.holders.received[second].back().stamp.epoch == stamp.epoch);
    pool.holders.acknowledge_all(second);
    REQUIRE(again.has_value());
    CHECK(again->has_value());
    // The claim of before ended, that of after lasts.
    const auto found = pool.claim();
    REQUIRE(found.size() == 1);
    CHECK(found.front().id == before);
}

TEST_CASE("what comes back in its epoch comes back as it is now") {
    Pool pool;
    take_all(pool);
    auto next = pool.control->read();
    partition_in(next).phase = PartitionPhase::closing;
    pool.control->become(std::move(next));
    give_all(pool, InEpoch::same);
    CHECK(pool.refuses() == Errc::unavailable);
}

TEST_CASE("what comes back in a later epoch begins it: ids and sequences are of that epoch") {
    Pool pool({second});
    const auto before = pool.begin();
    take_all(pool);
    give_all(pool, InEpoch::next);
    const auto after = pool.begin();
    CHECK(after != before);
    std::optional<Result<void>> answer;
    pool.commit(after, answer);
    CHECK(pool.holders.received[second].back().stamp.epoch == Epoch{2});
    CHECK(pool.holders.received[second].back().stamp.sequence == Sequence{1});
    pool.holders.acknowledge_all(second);
    CHECK(answer->has_value());
}

TEST_CASE("a value of the past ends what is owned in a later epoch, until its time is over") {
    Pool pool;
    const auto id = pool.waiting();
    take_all(pool);
    give_all(pool, InEpoch::next);
    auto past = pool.control->read();
    partition_in(past).epoch.value -= 1;
    pool.control->become(std::move(past));
    pool.home.run();
    CHECK(pool.claim().empty());
    CHECK(pool.refuses() == Errc::unavailable);
    give_all(pool, InEpoch::next);
    const auto found = pool.claim();
    REQUIRE(found.size() == 1);
    CHECK(found.front().id == id);
}

TEST_CASE("a message whose commit was cut off is delivered once the partition is back") {
    for (const auto epoch : {InEpoch::same, InEpoch::next}) {
        Pool pool({second});
        const auto id = pool.begin();
        std::optional<Result<void>> answer;
        pool.commit(id, answer);
        CHECK_FALSE(answer.has_value());
        take_all(pool);
        REQUIRE(answer.has_value());
        CHECK(answer->error().code == Errc::unknown);
        give_all(pool, epoch);
        const auto found = pool.claim();  // nobody may believe that it did not happen
        REQUIRE(found.size() == 1);
        CHECK(found.front().id == id);
    }
}

TEST_CASE("messages that were found for a claim while the partition went are free again") {
    for (const auto epoch : {InEpoch::same, InEpoch::next}) {
        Pool pool;
        const auto id = pool.accepted();
        pool.queue->park(id, pool.clock.wall());
        pool.home.run();
        std::optional<std::vector<Envelope>> claimed;
        pool.queue->claim(9, [&](Result<std::vector<Envelope>> found) { claimed = found.value(); });
        auto next = pool.control->read();
        partition_in(next).owner.reset();
        pool.control->become(std::move(next));
        pool.home.run();
        REQUIRE(claimed.has_value());
        CHECK(claimed->empty());
        CHECK(pool.queue->idle());
        give_all(pool, epoch);
        CHECK(pool.claim().size() == 1);
    }
    Pool pool;
    const auto id = pool.accepted();
    pool.queue->park(id, pool.clock.wall());
    pool.home.run();
    std::optional<Errc> refused;
    pool.queue->claim_one(id, [&](Result<Envelope> found) {
        if (!found) refused = found.error().code;
    });
    auto next = pool.control->read();
    partition_in(next).owner.reset();
    pool.control->become(std::move(next));
    pool.home.run();
    CHECK(refused == Errc::not_found);
    CHECK(pool.queue->idle());
    give_all(pool, InEpoch::same);
    CHECK(pool.claim().size() == 1);
}

TEST_CASE("a partition that is taken up later has its attempts in doubt resolved first") {
    Pool pool;
    const auto id = pool.accepted();
    pool.intend(id, 1, {0});
    take_all(pool);
    std::vector<std::uint32_t> doubts;
    pool.queue->on_doubt([&](const Intent& intent) { doubts.push_back(intent.attempt); });
    CHECK(pool.queue->counters().in_doubt == 0);
    CHECK(pool.open_intents() == 1);
    auto next = pool.control->read();
    partition_in(next).owner = pool.control->self();
    partition_in(next).epoch.value += 1;
    pool.control->become(std::move(next));
    // A claim that comes at any step finds it in doubt, or not at all.
    std::vector<Envelope> found;
    while (found.empty()) {
        std::optional<bool> answered;
        pool.queue->claim(9, [&](Result<std::vector<Envelope>> part) {
            found = part.value();
            answered = true;
        });
        const bool stepped = pool.home.step();
        if (!stepped && answered && found.empty()) break;
    }
    REQUIRE(found.size() == 1);
    CHECK(found.front().in_doubt == 1);
    CHECK(pool.queue->counters().in_doubt == 1);
    CHECK(doubts == std::vector<std::uint32_t>{1});
    CHECK(pool.wakes > 0);
}

TEST_CASE("what is found for a claim of before a partition went and came back is not sent") {
    Pool pool;
    const auto id = pool.accepted();
    pool.intend(id, 1, {0});
    pool.disk_work.stall();
    std::optional<Result<void>> recorded;
    pool.intend(id, 2, {1}, recorded);  // the next round of writes comes before the claim
    std::optional<std::vector<Envelope>> found;
    pool.queue->claim(9, [&](Result<std::vector<Envelope>> part) { found = part.value(); });
    take_all(pool);
    give_all(pool, InEpoch::same);
    CHECK_FALSE(found.has_value());
    pool.disk_work.go_on();
    pool.home.run();
    REQUIRE(found.has_value());
    CHECK(found->empty());
    const auto claimed = pool.claim();
    REQUIRE(claimed.size() == 1);
    CHECK(claimed.front().in_doubt == 2);
    CHECK(pool.queue->counters().in_doubt == 2);
}

TEST_CASE("a partition that goes while it is taken up is not used, and comes back whole") {
    Pool pool;
    const auto id = pool.accepted();
    pool.queue->park(id, pool.clock.wall());
    pool.home.run();
    take_all(pool);
    for (int steps = 0; steps < 4; ++steps) {
        CAPTURE(steps);
        auto mine = pool.control->read();
        partition_in(mine).owner = pool.control->self();
        pool.control->become(mine);
        for (int i = 0; i < steps; ++i) pool.home.step();
        auto theirs = pool.control->read();
        partition_in(theirs).owner.reset();
        pool.control->become(theirs);
        pool.home.run();
        CHECK(pool.claim().empty());
    }
    give_all(pool, InEpoch::same);
    CHECK(pool.claim().size() == 1);
}

TEST_CASE("new partitions are used as they come") {
    Pool pool;
    auto next = pool.control->read();
    auto another = partition_in(next);
    another.id = {2};
    another.phase = PartitionPhase::open;
    next.partitions.push_back(another);
    partition_in(next).phase = PartitionPhase::closing;
    pool.control->become(std::move(next));
    pool.home.run();
    CHECK(pool.begin().partition() == PartitionId{2});
}

// ------------------------------------------------------------------ closing

namespace {

void close(Pool& pool) {
    auto next = changed(pool.control->read(), ClosePartition{first});
    REQUIRE(next.has_value());
    pool.control->become(*std::move(next));
    pool.home.run();
}

void tick_seconds(Pool& pool, int seconds) {
    for (int i = 0; i < 10 * seconds; ++i) {
        pool.clock.advance(100ms);
        pool.queue->tick();
        pool.home.run();
    }
}

std::size_t retirements(const Pool& pool) {
    return static_cast<std::size_t>(std::count_if(
        pool.control->proposed.begin(), pool.control->proposed.end(),
        [](const Change& change) { return std::holds_alternative<RetirePartition>(change); }));
}

}  // namespace

TEST_CASE("a closing partition takes nothing new, delivers what it has, and is retired") {
    Pool pool;
    const auto arriving = pool.begin();
    const auto id = pool.accepted();
    tick_seconds(pool, 3);
    CHECK(retirements(pool) == 0);  // it is open
    close(pool);
    CHECK(pool.refuses() == Errc::unavailable);
    CHECK(pool.queue->delivering(id));
    tick_seconds(pool, 3);
    CHECK(retirements(pool) == 0);  // one is claimed, one arrives

    std::optional<Result<void>> late;
    pool.commit(arriving, late);  // it began before
    CHECK(late.value().has_value());
    REQUIRE(pool.settle({.id = arriving,
                         .outcomes = {outcome(0, OutcomeKind::delivered),
                                      outcome(1, OutcomeKind::delivered)}})
                .has_value());
    pool.queue->park(id, pool.clock.wall() + 1h);
    pool.home.run();
    tick_seconds(pool, 3);
    CHECK(retirements(pool) == 0);  // one waits

    pool.clock.advance(1h);
    REQUIRE(pool.claim().size() == 1);
    REQUIRE(pool.settle({.id = id,
                         .outcomes = {outcome(0, OutcomeKind::delivered),
                                      outcome(1, OutcomeKind::delivered)}})
                .has_value());
    tick_seconds(pool, 3);
    CHECK(retirements(pool) == 1);
    CHECK(pool.control->read().find(first) == nullptr);
    CHECK(pool.queue->idle());
}

TEST_CASE("a retirement that the pool refuses is asked for again, not too often") {
    Pool pool;
    close(pool);
    pool.control->agrees = false;
    tick_seconds(pool, 3);
    CHECK(retirements(pool) >= 2);
    CHECK(retirements(pool) <= 4);
    pool.control->agrees = true;
    tick_seconds(pool, 2);
    CHECK(pool.control->read().find(first) == nullptr);
}

// ------------------------------------------------------------------ figures

namespace {

// The partition is alone on its owner's disk from here on.
void give_to(Pool& pool, NodeId owner) {
    auto next = pool.control->read();
    partition_in(next).owner = owner;
    partition_in(next).in_sync = {owner};
    partition_in(next).epoch.value += 1;
    pool.control->become(std::move(next));
    pool.home.run();
}

}  // namespace

TEST_CASE("a summary goes through every partition that is owned, a step at a time") {
    Pool pool;
    for (int i = 0; i < 3; ++i) pool.waiting();
    auto next = pool.control->read();
    auto another = partition_in(next);
    another.id = {2};
    next.partitions.push_back(another);
    partition_in(next).phase = PartitionPhase::closing;
    pool.control->become(std::move(next));
    pool.home.run();
    for (int i = 0; i < 2; ++i) CHECK(pool.waiting().partition() == PartitionId{2});

    Summarized counted;
    std::vector<std::uint64_t> messages;
    do {
        REQUIRE(messages.size() < 20);
        pool.queue->summarize(counted.next.value_or(SummaryPlace{}), std::move(counted.summary), 2,
                              [&](Result<Summarized> step) { counted = std::move(step.value()); });
        pool.home.run();
        messages.push_back(counted.summary.total().messages);
    } while (counted.next);
    CHECK(messages == std::vector<std::uint64_t>{2, 3, 5, 5});
    CHECK(counted.summary.total().recipients == 10);
}

TEST_CASE("octets are those of what is owned, and those of what is held for others") {
    Pool pool({second});
    const auto id = pool.begin();
    std::optional<Result<void>> answer;
    pool.commit(id, answer);
    pool.holders.acknowledge_all(second);
    pool.home.run();
    CHECK(pool.queue->counters().bytes == pool.head.size());
    CHECK(pool.queue->counters().held_bytes == 0);
    give_to(pool, second);
    CHECK(pool.queue->counters().bytes == 0);
    CHECK(pool.queue->counters().held_bytes == pool.head.size());
}

TEST_CASE("a takeover took as long as its owner was lost to this node, or as the taking up") {
    Pool pool({second});
    std::vector<Duration> took;
    pool.queue->on_taken_over([&](Duration duration) { took.push_back(duration); });
    give_to(pool, second);
    pool.holders.go(second);
    pool.clock.advance(7s);
    give_to(pool, test_node(1));
    CHECK(took == std::vector<Duration>{7s});

    give_to(pool, second);
    pool.clock.advance(5s);
    pool.holders.come(second);
    pool.clock.advance(5s);
    give_to(pool, test_node(1));
    CHECK(took == std::vector<Duration>{7s, 0s});
}

TEST_CASE("what this node owned before, and what is new, is no takeover") {
    Pool pool({second});
    std::size_t takeovers = 0;
    pool.queue->on_taken_over([&](Duration) { ++takeovers; });
    take_all(pool);
    pool.clock.advance(5s);
    give_all(pool, InEpoch::next);
    pool.pool.change(OpenPartition{{test_node(1)}}).value();
    pool.home.run();
    CHECK(pool.queue->counters().takeovers > 1);
    CHECK(takeovers == 0);
}

TEST_CASE("the age of mail with too few copies is that of the oldest, and ends with them") {
    Pool pool({second});
    const auto id = pool.begin();
    std::optional<Result<void>> answer;
    pool.commit(id, answer);
    pool.holders.acknowledge_all(second);
    pool.tick(2s);
    pool.holders.acknowledge_all(second);
    CHECK(pool.queue->counters().under_replicated_age == 0s);
    auto alone = pool.control->read();
    partition_in(alone).in_sync = {test_node(1)};
    partition_in(alone).epoch.value += 1;
    pool.control->become(std::move(alone));
    pool.tick(3s);
    CHECK(pool.queue->counters().under_replicated == 1);
    CHECK(pool.queue->counters().under_replicated_age == 5s);
    pool.clock.advance(1min);
    CHECK(pool.queue->counters().under_replicated_age == 65s);
    auto whole = pool.control->read();
    partition_in(whole).in_sync = {test_node(1), second};
    partition_in(whole).epoch.value += 1;
    pool.control->become(std::move(whole));
    CHECK(pool.queue->counters().under_replicated_age == 0s);
}
