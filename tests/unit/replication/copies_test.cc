// Copies while all goes well, and while holders are slow, cut off or restarted.
#include <doctest/doctest.h>

#include "storage/queue_key.h"
#include "tests/unit/replication/cluster.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

const NodeId one = test_node(1);
const NodeId two = test_node(2);
const NodeId three = test_node(3);

}  // namespace

TEST_CASE("250 waits for the disk of every holder, and a holder has what the owner has (P1)") {
    Cluster pool(3, {{1, 2, 3}});
    pool[2].disk_work.stall();
    std::optional<Result<void>> answer;
    const auto id = pool[1].begin();
    pool[1].commit(id, answer);
    CHECK_FALSE(answer.has_value());
    CHECK(pool[3].stored().size() == 1);
    pool[2].disk_work.go_on();
    pool.run();
    REQUIRE(answer.has_value());
    CHECK(answer->has_value());
    pool.check_same({1, 2, 3});
    for (const int number : {1, 2, 3}) {
        pool.lose_power(number);
        CHECK(pool[number].disk.unsynced_writes() == 0);
    }
    pool.begin_anew(2);
    CHECK(pool[2].stored().size() == 1);
}

TEST_CASE("a body is copied while the client still sends it") {
    Cluster pool(2, {{1, 2}});
    const auto id = pool[1].begin();
    bool taken = false;
    for (std::uint32_t index = 1; index <= 3; ++index) {
        taken = false;
        pool[1].append(id, index, "chunk " + std::to_string(index), taken);
        pool.run();
        CHECK(taken);
        CHECK(pool[2].stored_chunk(id, index) == "chunk " + std::to_string(index));
    }
    std::optional<Result<void>> answer;
    pool[1].commit(id, answer, 3);
    CHECK(answer.value().has_value());
    pool.check_same({1, 2});
}

TEST_CASE("settlements, bounces and removals reach the holders") {
    Cluster pool(2, {{1, 2}});
    const auto delivered = pool[1].accepted();
    const auto bounced = pool[1].accepted();
    const auto removed = pool[1].waiting();
    REQUIRE(pool[1]
                .settle({.id = delivered,
                         .outcomes = {outcome(0, OutcomeKind::delivered),
                                      outcome(1, OutcomeKind::deferred)},
                         .next_due = pool.clock.wall() + 5min})
                .has_value());
    Settlement failed{
        .id = bounced,
        .outcomes = {outcome(0, OutcomeKind::failed), outcome(1, OutcomeKind::failed)}};
    failed.notices.push_back({pool[1].envelope({}), make_chunk("bounce\r\n")});
    REQUIRE(pool[1].settle(std::move(failed)).has_value());
    REQUIRE(pool[1].act(removed, Action::remove).has_value());
    CHECK(pool[1].stored().size() == 2);
    pool.check_same({1, 2});
    CHECK(pool[1].queue->counters().lag == 0);
    CHECK(pool[2].queue->counters().held == 2);
    CHECK(pool[2].queue->counters().messages == 0);
}

TEST_CASE("an attempt is announced to every holder before its dot may go") {
    Cluster pool(2, {{1, 2}});
    const auto id = pool[1].accepted();
    pool.network.hold(one, two);
    std::optional<Result<void>> recorded;
    pool[1].intend(id, 1, {0, 1}, recorded);
    CHECK_FALSE(recorded.has_value());
    CHECK_FALSE(pool[1].queue->may_send_dot(id, 1));
    pool.network.let_go(one, two);
    pool.run();
    REQUIRE(recorded.has_value());
    CHECK(pool[1].queue->may_send_dot(id, 1));
    CHECK(pool[2].open_intents() == 1);
}

TEST_CASE("whom nobody can evict sends without a silent holder, but not when it is about to go") {
    Cluster pool(2, {{1, 2}});
    pool[1].control->agrees = false;
    pool[1].control->is_unevictable = true;
    const auto sent = pool[1].accepted();
    const auto kept = pool[1].accepted();
    pool.network.hold(one, two);
    std::optional<Result<void>> recorded;
    pool[1].intend(sent, 1, {0, 1}, recorded);
    pool.pass(2s);
    CHECK(recorded.has_value());
    CHECK(pool[1].queue->may_send_dot(sent, 1));
    CHECK(pool[1].queue->counters().intents_alone == 1);
    pool[1].queue->hurry();
    recorded.reset();
    pool[1].intend(kept, 1, {0, 1}, recorded);
    pool.pass(5s);
    CHECK_FALSE(recorded.has_value());
    CHECK_FALSE(pool[1].queue->may_send_dot(kept, 1));
    CHECK(pool[1].queue->counters().intents_alone == 1);
}

TEST_CASE("a holder that does not acknowledge is dropped, and the client goes on") {
    Cluster pool(3, {{1, 2}});
    pool[2].disk_work.stall();
    std::optional<Result<void>> answer;
    pool[1].commit(pool[1].begin(), answer);
    pool.pass(900ms);
    CHECK_FALSE(answer.has_value());
    CHECK(pool.partition().holds(two));
    pool.pass(200ms);
    REQUIRE(answer.has_value());
    CHECK(answer->has_value());
    CHECK_FALSE(pool.partition().holds(two));
    // Its owner finds another.
    pool.pass(3s);
    CHECK(pool.partition().holds(three));
    pool.check_same({1, 3});
}

TEST_CASE("a node whose time is over does not wait for holders that it cannot reach") {
    Cluster pool(2, {{1, 2}});
    pool[1].control->agrees = false;
    pool.network.hold(one, two);
    std::optional<Result<void>> committed;
    pool[1].commit(pool[1].begin(), committed);
    pool.pass(5s);
    CHECK_FALSE(committed.has_value());
    pool[1].queue->hasten();
    pool.pass(3s);  // the message, then its withdrawal
    REQUIRE(committed.has_value());
    CHECK(committed->error().code == Errc::unknown);
}

TEST_CASE("new mail avoids a set with a slow holder") {
    Cluster pool(3, {{1, 2}, {1, 3}});
    pool[2].disk_work.stall();
    std::optional<Result<void>> answer;
    const auto slow = pool[1].begin();
    CHECK(slow.partition() == PartitionId{1});
    pool[1].commit(slow, answer);
    pool.pass(550ms);
    for (int i = 0; i < 3; ++i) CHECK(pool[1].accepted().partition() == PartitionId{2});
    CHECK_FALSE(answer.has_value());
    pool[2].disk_work.go_on();
    pool.run();
    CHECK(answer.value().has_value());
    CHECK(pool[1].begin().partition() == PartitionId{1});
}

TEST_CASE("whoever sends a body waits for a holder that lags, and memory does not grow") {
    Cluster pool(2, {{1, 2}});
    pool[1].control->agrees = false;
    pool.network.hold(one, two);
    const auto id = pool[1].begin();
    const std::string bytes(256 * 1024, 'x');
    std::uint32_t index = 0;
    bool taken = true;
    while (taken && index < 100) {
        taken = false;
        pool[1].append(id, ++index, bytes, taken);
        pool.run();
    }
    CHECK(index < 20);  // about two megabytes
    CHECK_FALSE(taken);
    pool.network.let_go(one, two);
    pool.run();
    CHECK(taken);  // what the holder has received is enough
    std::optional<Result<void>> answer;
    pool[1].commit(id, answer, index);
    CHECK(answer.value().has_value());
    pool.check_same({1, 2});
}

TEST_CASE("a body of any size arrives whole before its commit, which alone syncs it") {
    Cluster pool(2, {{1, 2}});
    const auto id = pool[1].begin();
    const std::string bytes(256 * 1024, 'x');
    constexpr std::uint32_t chunks = 50;  // more than is kept for a holder that was away
    for (std::uint32_t index = 1; index <= chunks; ++index) {
        bool taken = false;
        pool[1].append(id, index, bytes, taken);
        pool.run();
        REQUIRE(taken);
    }
    std::optional<Result<void>> answer;
    pool[1].commit(id, answer, chunks);
    CHECK(answer.value().has_value());
    CHECK(pool[2].stored_chunk(id, chunks) == bytes);
    CHECK(pool.network.count<ListEnd>(one, two) == 0);
    pool.check_same({1, 2});
}

TEST_CASE("what nobody waits for is acknowledged a few at a time") {
    Cluster pool(2, {{1, 2}});
    const auto id = pool[1].begin();
    const auto before = pool.network.count<Ack>(two, one);
    bool taken = false;
    for (std::uint32_t index = 1; index <= 8; ++index) {
        pool[1].append(id, index, "chunk", taken);
        pool.run();
    }
    CHECK(pool.network.count<Ack>(two, one) == before + 2);
    std::optional<Result<void>> answer;
    pool[1].commit(id, answer, 8);
    CHECK(answer.value().has_value());
    CHECK(pool.network.count<Ack>(two, one) == before + 3);
}

TEST_CASE("a body that its owner's disk has lost comes back from a holder") {
    Cluster pool(2, {{1, 2}});
    const auto id = pool[1].begin();
    bool taken = false;
    pool[1].append(id, 1, "body", taken);
    std::optional<Result<void>> answer;
    pool[1].commit(id, answer, 1);
    REQUIRE(answer.value().has_value());
    pool[1].disk.damage({storage::Family::body, storage::body_key(id, 1), nullptr});
    const auto read = [&] {
        std::string bytes;
        pool[1].queue->chunk(id, 1, [&](Result<Chunk> found) {
            if (found) bytes = **found;
        });
        pool.run();
        return bytes;
    };
    CHECK(read().empty());
    CHECK(read() == "body");
    CHECK(pool[1].queue->counters().mended == 1);
    pool.check_same({1, 2});
}
