// Holders that were away for a while: what they lack is sent again, and no more.
#include <doctest/doctest.h>

#include "tests/unit/replication/cluster.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

const NodeId one = test_node(1);
const NodeId two = test_node(2);
const NodeId three = test_node(3);

// Nobody was brought up by a listing.
void check_unlisted(const Cluster& pool) {
    for (const auto from : {one, two, three}) {
        for (const auto to : {one, two, three}) CHECK(pool.network.count<Page>(from, to) == 0);
    }
}

}  // namespace

TEST_CASE("a stream that breaks in the middle goes on where the holder is") {
    Cluster pool(2, {{1, 2}});
    pool[1].waiting();
    const auto id = pool[1].begin();
    bool taken = false;
    pool[1].append(id, 1, "first", taken);
    pool.run();
    // The rest of the body and the commit are lost on the way.
    pool.network.hold(one, two);
    pool[1].append(id, 2, "second", taken);
    std::optional<Result<void>> answer;
    pool[1].commit(id, answer, 2);
    CHECK_FALSE(answer.has_value());
    const auto before = pool.network.count<Operate>(one, two);
    pool.network.break_stream(one, two);
    pool.network.let_go(one, two);
    pool.run();
    CHECK(answer.value().has_value());
    CHECK(pool.network.count<Operate>(one, two) - before == 2);
    check_unlisted(pool);
    pool.check_same({1, 2});
}

TEST_CASE("acknowledgements that were lost on the way are made up for by where the holder stands") {
    Cluster pool(2, {{1, 2}});
    pool.network.hold(two, one);
    std::optional<Result<void>> answer;
    pool[1].commit(pool[1].begin(), answer);
    CHECK_FALSE(answer.has_value());
    CHECK(pool[2].stored().size() == 1);
    const auto before = pool.network.count<Operate>(one, two);
    pool.network.break_stream(one, two);
    pool.network.let_go(two, one);
    pool.run();
    CHECK(answer.value().has_value());
    CHECK(pool.network.count<Operate>(one, two) == before);
    check_unlisted(pool);
}

TEST_CASE("a stream that breaks at any moment of a busy hour loses nothing") {
    for (int moment = 0; moment < 40; ++moment) {
        CAPTURE(moment);
        Cluster pool(3, {{1, 2, 3}});
        int frames = 0;
        pool.network.on_sent = [&](const FakeNetwork::Sent& sent) {
            if (sent.from != two && sent.to != two) return;
            if (++frames != moment) return;
            pool.home.post([&] { pool.network.break_stream(one, two); });
        };
        for (int i = 0; i < 3; ++i) {
            const auto id = pool[1].begin();
            bool taken = false;
            pool[1].append(id, 1, "body", taken);
            std::optional<Result<void>> answer;
            pool[1].commit(id, answer, 1);
            pool.run();
            REQUIRE(answer.has_value());
            CHECK(answer->has_value());
            pool[1].intend(id, 1, {0});
            std::optional<Result<void>> settled;
            pool[1].queue->settle({.id = id,
                                   .outcomes = {outcome(0, OutcomeKind::delivered)},
                                   .next_due = pool.clock.wall() + 1h,
                                   .ended_attempts = {1}},
                                  [&](Result<void> result) { settled = result; });
            pool.run();
            pool.pass(50ms);  // nobody waits for it: it waits for a sync
            CHECK(settled.value().has_value());
        }
        check_unlisted(pool);
        pool.check_same({1, 2, 3});
    }
}

TEST_CASE("a holder that restarts with its disk goes on from it") {
    Cluster pool(2, {{1, 2}});
    pool[1].waiting();
    bool power = false;
    SUBCASE("the process alone") {}
    SUBCASE("the power, too") {
        power = true;
    }
    pool[1].control->agrees = false;  // it is back before it can be dropped
    power ? pool.lose_power(2) : pool.kill(2);
    std::optional<Result<void>> answer;
    pool[1].commit(pool[1].begin(), answer);
    CHECK_FALSE(answer.has_value());
    pool.begin_anew(2);
    CHECK(answer.value().has_value());
    check_unlisted(pool);
    pool.check_same({1, 2});
}

TEST_CASE("a holder that was dropped, and is back in time, is taken in again without a listing") {
    Cluster pool(2, {{1, 2}});
    pool[1].waiting();
    pool.network.cut(one, two);
    std::optional<Result<void>> answer;
    pool[1].commit(pool[1].begin(), answer);
    pool.pass(1s);
    CHECK(answer.value().has_value());
    const auto late = pool[1].waiting();  // in the set that is short now
    CHECK_FALSE(pool.partition().holds(two));
    CHECK(pool[2].stored().size() == 1);
    pool.network.mend(one, two);
    pool.pass(15s);
    CHECK(pool.partition().holds(two));
    CHECK(pool[1].find(late).has_value());
    pool.check_same({1, 2});
}

TEST_CASE("a body of which a restarted holder has lost the beginning is fetched whole") {
    Cluster pool(2, {{1, 2}});
    pool[1].control->agrees = false;
    const auto id = pool[1].begin();
    bool taken = false;
    pool[1].append(id, 1, "first", taken);
    const auto kept = pool[1].waiting();  // whatever came before it is on the disks, and done with
    pool.lose_power(2);
    pool.begin_anew(2);
    pool[1].append(id, 2, "second", taken);
    pool.run();
    std::optional<Result<void>> answer;
    pool[1].commit(id, answer, 2);
    CHECK_FALSE(answer.has_value());
    CHECK(pool.network.count<Refused>(two, one) > 0);  // a gap
    pool.pass(200ms);
    CHECK(answer.value().has_value());
    CHECK(pool.network.count<Page>(one, two) == 1);
    CHECK(pool[2].stored_chunk(id, 1) == "first");
    CHECK(pool[1].find(kept).has_value());
    pool.check_same({1, 2});
}

TEST_CASE("a holder that lags by more than is kept is brought up by a listing") {
    Cluster pool(2, {{1, 2}});
    pool[1].control->agrees = false;
    pool.network.hold(one, two);
    const std::string bytes(1024 * 1024, 'x');
    std::vector<std::optional<Result<void>>> answers(12);
    bool taken = false;  // of the newest, late: the holder lags
    for (auto& answer : answers) {
        const auto id = pool[1].begin();
        pool[1].append(id, 1, bytes, taken);
        pool[1].commit(id, answer, 1);
        pool.run();
    }
    pool.network.let_go(one, two);
    pool.pass(300ms);
    for (const auto& answer : answers) {
        REQUIRE(answer.has_value());
        CHECK(answer->has_value());
    }
    CHECK(pool.network.count<ListEnd>(one, two) == 1);
    pool.check_same({1, 2});
}

TEST_CASE("what a holder still lacks comes in the epoch that began meanwhile") {
    Cluster pool(3, {{1, 2, 3}});
    pool[2].disk_work.stall();
    pool.network.hold(one, three);
    std::optional<Result<void>> answer;
    const auto id = pool[1].begin();
    bool taken = false;
    pool[1].append(id, 1, "body", taken);
    pool[1].commit(id, answer, 1);
    // The pool drops the one and not the other.
    pool.pass(900ms);
    pool[1].control->agrees = false;
    pool.pass(200ms);
    pool.network.break_stream(one, three);
    pool.network.let_go(one, three);
    pool[1].control->agrees = true;
    pool.pool.change(DropHolder{PartitionId{1}, pool.partition().epoch, two}).value();
    pool.run();
    CHECK(answer.value().has_value());
    check_unlisted(pool);
    pool.check_same({1, 3});
}

TEST_CASE("what was a part of a body here, and was taken up whole, stays so under the next owner") {
    Cluster pool(3, {{1, 2, 3}});
    const auto id = pool[1].begin();
    bool taken = false;
    pool[1].append(id, 1, "body", taken);
    pool.run();
    pool.network.cut(one, two);
    std::optional<Result<void>> answer;
    pool[1].commit(id, answer, 1);
    pool.run();
    CHECK(pool[2].stored().empty());
    CHECK(pool[3].stored().size() == 1);

    const auto hand_over = [&](NodeId to) {
        pool.pool.change(HandOver{PartitionId{1}, pool.partition().epoch, to}).value();
        pool.run();
    };
    hand_over(two);  // it waits for the one that it cannot reach
    pool.evict(1);
    REQUIRE(pool.partition().owner == two);
    pool.check_same({2, 3});
    REQUIRE(pool[2].stored().size() == 1);
    hand_over(three);
    pool.check_same({2, 3});
    CHECK(pool[2].stored().size() == 1);
}

TEST_CASE("a holder without room acknowledges nothing that it has not, however often it is asked") {
    Cluster pool(2, {{1, 2}});
    pool[1].control->agrees = false;
    pool[2].disk.faults.free_bytes = 0;
    std::vector<std::optional<Result<void>>> answers(3);
    for (auto& answer : answers) pool[1].commit(pool[1].begin(), answer);
    pool.pass(6s);
    for (const auto& answer : answers) CHECK_FALSE((answer && answer->has_value()));
    CHECK(pool[2].stored().empty());
}

TEST_CASE("what comes behind a message that a holder had no room for is no acknowledgement of it") {
    Cluster pool(2, {{1, 2}});
    const auto earlier = pool[1].accepted();
    pool[1].control->agrees = false;
    pool[2].disk.faults.free_bytes = 0;
    std::optional<Result<void>> answer;
    std::optional<Result<void>> recorded;
    pool[1].commit(pool[1].begin(), answer);
    pool[1].intend(earlier, 1, {0}, recorded);  // needs no room
    pool.pass(3s);
    CHECK_FALSE(answer.has_value());
    CHECK_FALSE(recorded.has_value());
    CHECK(pool[2].stored().size() == 1);
    CHECK(pool[2].open_intents() == 0);

    pool[2].disk.faults.free_bytes = UINT64_MAX;
    pool.pass(2s);
    REQUIRE(answer.has_value());
    CHECK(answer->has_value());
    CHECK(recorded.value().has_value());
    check_unlisted(pool);
    pool.check_same({1, 2});
}

TEST_CASE("a new owner that had no room for what it lacks takes the partition up when it has") {
    Cluster pool(3, {{1, 2, 3}});
    pool.network.cut(one, two);
    std::optional<Result<void>> answer;
    const auto id = pool[1].begin();
    pool[1].commit(id, answer);
    pool[2].disk.faults.free_bytes = 0;
    pool.pool.change(HandOver{PartitionId{1}, pool.partition().epoch, two}).value();
    pool.evict(1);
    REQUIRE(pool.partition().owner == two);
    std::optional<Error> why;
    pool[2].queue->on_not_taken_up([&](PartitionId, const Error& error) { why = error; });
    pool.pass(3s);
    CHECK(pool[2].stored().empty());
    CHECK(pool[2].claim().empty());
    REQUIRE(why.has_value());
    CHECK(why->code == Errc::full);
    CHECK(pool[2].queue->counters().not_taken_up == 1);

    pool[2].disk.faults.free_bytes = UINT64_MAX;
    pool.pass(3s);
    REQUIRE(pool[2].stored().size() == 1);
    CHECK(pool[2].queue->counters().not_taken_up == 0);
    CHECK(pool[2].claim().size() == 1);
    pool.check_same({2, 3});
}
