#include "replication/replicated_queue.h"

#include <doctest/doctest.h>

#include "tests/unit/replication/queue_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

using Pool = QueuePool;

const NodeId second = test_node(2);
const NodeId third = test_node(3);

}  // namespace

TEST_CASE("alone: a commit is custody, and the message is born claimed") {
    Pool pool;
    const auto id = pool.accepted();
    CHECK(pool.queue->counters().messages == 1);
    CHECK(pool.queue->delivering(id));
    CHECK(pool.claim().empty());
    pool.restart();
    const auto found = pool.claim();
    REQUIRE(found.size() == 1);
    CHECK(found.front().id == id);
}

TEST_CASE("the first attempt has the head in memory, later ones read it") {
    Pool pool;
    const auto id = pool.accepted();
    const auto read = [&] {
        std::string head;
        pool.queue->chunk(id, 0, [&](Result<Chunk> found) { head = found ? **found : "none"; });
        pool.home.run();
        return head;
    };
    pool.disk.damage({storage::Family::body, storage::body_key(id, 0), make_chunk("other")});
    CHECK(read() == Pool::head);
    pool.restart();
    REQUIRE(pool.claim().size() == 1);
    CHECK(read() == "other");
}

TEST_CASE("there is room for so many heads, and it comes back with the last who has one") {
    HeadShelf shelf;
    const auto large = make_chunk(std::string(HeadShelf::bytes_max, 'x'));
    auto kept = shelf.keep(large);
    REQUIRE(kept);
    CHECK(kept->size() == HeadShelf::bytes_max);
    CHECK_FALSE(shelf.keep(make_chunk("x")));
    auto another = kept;
    kept.reset();
    CHECK_FALSE(shelf.keep(make_chunk("x")));
    another.reset();
    CHECK(shelf.keep(make_chunk("x")));
}

TEST_CASE("250 waits for every in-sync holder's disk (P1)") {
    Pool pool({second, third});
    const auto id = pool.begin();
    std::optional<Result<void>> answer;
    pool.commit(id, answer);
    CHECK_FALSE(answer.has_value());
    pool.holders.acknowledge_all(second);
    pool.holders.acknowledge_received(third);
    pool.home.run();
    CHECK_FALSE(answer.has_value());  // in a log is not on a disk
    pool.holders.acknowledge_all(third);
    pool.home.run();
    REQUIRE(answer.has_value());
    CHECK(answer->has_value());
}

TEST_CASE(
    "holders get body chunks while the client still sends, under the same stamps as the store") {
    Pool pool({second});
    const auto id = pool.begin();
    bool appended = false;
    pool.queue->append(id, 1, make_chunk("chunk"),
                       [&](Result<void> result) { appended = result.has_value(); });
    pool.home.run();
    CHECK(appended);  // waits for no holder
    REQUIRE(pool.holders.received[second].size() == 1);
    CHECK(std::holds_alternative<storage::Append>(pool.holders.received[second].front().change));
    CHECK(pool.holders.received[second].front().stamp.epoch == Epoch{1});
}

TEST_CASE(
    "a slow holder: the client waits, no message is due, and the late acknowledgement accepts") {
    Pool pool({second});
    const auto id = pool.begin();
    std::optional<Result<void>> answer;
    pool.commit(id, answer);
    CHECK(pool.claim().empty());
    CHECK_FALSE(pool.queue->delivering(id));
    pool.tick(900ms);
    CHECK(pool.control->proposed.empty());
    pool.holders.acknowledge_all(second);
    REQUIRE(answer.has_value());
    CHECK(answer->has_value());
}

TEST_CASE("a failing holder is dropped by agreement, and only then the client hears 250") {
    Pool pool({second});
    const auto id = pool.begin();
    std::optional<Result<void>> answer;
    pool.commit(id, answer);
    pool.control->agrees = false;
    pool.tick(1s);
    REQUIRE(pool.control->proposed.size() == 1);
    CHECK(std::get<DropHolder>(pool.control->proposed.front()).holder == second);
    CHECK_FALSE(answer.has_value());  // proposed is not committed
}

TEST_CASE("an agreed narrower set accepts, in a new epoch that fences the old one") {
    Pool pool({second});
    const auto id = pool.begin();
    std::optional<Result<void>> answer;
    pool.commit(id, answer);
    pool.tick(1s);
    REQUIRE(answer.has_value());
    CHECK(answer->has_value());
    pool.queue->park(id, pool.clock.wall());
    pool.home.run();
    CHECK(pool.claim().size() == 1);  // the owner's claims outlive its own change of epoch
    pool.accepted();                  // the first write of the new epoch fences the old one
    std::optional<Result<void>> stale;
    pool.store->apply({{PartitionId{1}, Epoch{1}, Sequence{99}}, storage::Abort{id, 0}},
                      [&](Result<void> result) { stale = result; });
    pool.home.run();
    REQUIRE(stale.has_value());
    CHECK(stale->error().code == Errc::fenced);
}

TEST_CASE("what no holder confirms is withdrawn, durably, before the client hears a refusal") {
    Pool pool({second});
    pool.control->agrees = false;
    const auto id = pool.begin();
    std::optional<Result<void>> answer;
    pool.commit(id, answer);
    pool.tick(60s);
    CHECK_FALSE(answer.has_value());  // the withdrawal waits for the holder like every other change
    CHECK(std::get<storage::Settle>(pool.holders.received[second].back().change).after ==
          std::nullopt);
    pool.holders.acknowledge_all(second);
    REQUIRE(answer.has_value());
    CHECK(answer->error().code == Errc::unavailable);
    CHECK(pool.find(id).error().code == Errc::not_found);
    pool.restart();
    CHECK(pool.claim().empty());
}

TEST_CASE("unknown is an answer: neither commit nor withdrawal was confirmed") {
    Pool pool({second});
    pool.control->agrees = false;
    const auto id = pool.begin();
    std::optional<Result<void>> answer;
    pool.commit(id, answer);
    for (int i = 0; i < 2; ++i) pool.tick(60s);
    REQUIRE(answer.has_value());
    CHECK(answer->error().code == Errc::unknown);
    CHECK_FALSE(pool.queue->delivering(id));
}

TEST_CASE("after a failed sync nobody knows of the commit, and every later message is refused") {
    Pool pool;
    const auto id = pool.begin();
    pool.disk.faults.fail_sync = pool.disk.syncs();
    std::optional<Result<void>> answer;
    pool.commit(id, answer);
    REQUIRE(answer.has_value());
    CHECK(answer->error().code == Errc::unknown);
    CHECK(pool.refuses() == Errc::io);
}

TEST_CASE("without a lease nothing begins, nothing is claimed and no dot is sent (P3)") {
    Pool pool;
    const auto id = pool.accepted();
    pool.intend(id, 1, {0});
    CHECK(pool.queue->may_send_dot(id, 1));
    const auto arriving = pool.begin();
    pool.control->live = false;
    CHECK_FALSE(pool.queue->may_send_dot(id, 1));
    CHECK(pool.refuses() == Errc::unavailable);
    std::optional<Result<void>> answer;
    pool.commit(arriving, answer);
    REQUIRE(answer.has_value());
    CHECK(answer->error().code == Errc::unavailable);
    CHECK(pool.claim().empty());
}

TEST_CASE("after stop_accepting() nothing begins and what arrives may end") {
    Pool pool;
    const auto arriving = pool.begin();
    pool.queue->stop_accepting();
    CHECK(pool.refuses() == Errc::unavailable);
    std::optional<Result<void>> answer;
    pool.commit(arriving, answer);
    CHECK(answer.value().has_value());
}

TEST_CASE("ids are unique and ordered though the wall clock goes back") {
    Pool pool;
    const auto first = pool.begin();
    pool.clock.set_wall(pool.clock.wall() - 1h);
    const auto second_id = pool.begin();
    CHECK(first < second_id);
    CHECK(first.partition() == PartitionId{1});
}

TEST_CASE("an aborted body leaves nothing") {
    Pool pool;
    const auto id = pool.begin();
    pool.queue->append(id, 1, make_chunk("half"), [](Result<void>) {});
    pool.queue->abort(id);
    pool.home.run();
    CHECK(pool.queue->idle());
    std::optional<Errc> refused;
    pool.queue->chunk(id, 1, [&](Result<Chunk> result) { refused = result.error().code; });
    pool.home.run();
    CHECK(refused == Errc::not_found);
}

TEST_CASE("settle: some delivered, the rest due later, then done") {
    Pool pool;
    const auto id = pool.accepted();
    Settlement part{
        .id = id,
        .outcomes = {outcome(0, OutcomeKind::delivered), outcome(1, OutcomeKind::deferred)},
        .next_due = pool.clock.wall() + 5min};
    REQUIRE(pool.settle(std::move(part)).has_value());
    CHECK(pool.claim().empty());
    pool.clock.advance(5min);
    const auto again = pool.claim();
    REQUIRE(again.size() == 1);
    CHECK(again.front().recipients[0].state == RecipientState::delivered);
    CHECK(again.front().recipients[1].attempts == 1);
    REQUIRE(pool.settle({.id = id, .outcomes = {outcome(1, OutcomeKind::delivered)}}).has_value());
    CHECK(pool.queue->counters().messages == 0);
    CHECK(pool.queue->idle());
}

TEST_CASE("settle: what goes on stays claimed, and only its rest is in doubt after a crash") {
    Pool pool;
    const auto id = pool.accepted();
    pool.intend(id, 1, {0});
    pool.intend(id, 2, {1});
    REQUIRE(pool.settle({.id = id,
                         .outcomes = {outcome(0, OutcomeKind::delivered)},
                         .ended_attempts = {1},
                         .goes_on = true})
                .has_value());
    CHECK(pool.queue->may_send_dot(id, 2));
    pool.clock.advance(1h);
    CHECK(pool.claim().empty());

    SUBCASE("it ends") {
        REQUIRE(pool.settle({.id = id,
                             .outcomes = {outcome(1, OutcomeKind::delivered)},
                             .ended_attempts = {2}})
                    .has_value());
        CHECK(pool.queue->idle());
    }
    SUBCASE("its node crashes") {
        pool.restart();
        CHECK(pool.queue->counters().in_doubt == 1);
        const auto found = pool.claim();
        REQUIRE(found.size() == 1);
        CHECK(found.front().recipients[0].state == RecipientState::delivered);
        CHECK(found.front().recipients[1].state == RecipientState::pending);
    }
}

TEST_CASE("a bounce is born with the settlement that causes it, and is due at once") {
    Pool pool;
    const auto id = pool.accepted();
    NewMessage notice{pool.envelope({}), make_chunk("bounce\r\n")};
    notice.envelope.sender.clear();
    Settlement ended{
        .id = id, .outcomes = {outcome(0, OutcomeKind::failed), outcome(1, OutcomeKind::failed)}};
    ended.notices.push_back(std::move(notice));
    pool.wakes = 0;
    REQUIRE(pool.settle(std::move(ended)).has_value());
    CHECK(pool.wakes == 1);
    const auto found = pool.claim();
    REQUIRE(found.size() == 1);
    CHECK(found.front().sender.empty());
    CHECK(found.front().id.partition() == id.partition());
    CHECK(found.front().id != id);
}

TEST_CASE("settling what is not claimed is refused") {
    Pool pool;
    CHECK(pool.settle({.id = QueueId::make(pool.clock.wall(), {1}, {1}, 77)}).error().code ==
          Errc::not_found);
}

TEST_CASE("park gives a claim back without an attempt") {
    Pool pool;
    const auto id = pool.accepted();
    pool.queue->park(id, pool.clock.wall() + 1min);
    pool.home.run();
    CHECK(pool.claim().empty());
    pool.clock.advance(1min);
    const auto found = pool.claim();
    REQUIRE(found.size() == 1);
    CHECK(found.front().recipients[0].attempts == 0);
    pool.queue->park(id, pool.clock.wall());
    CHECK(pool.claim().size() == 1);
}

TEST_CASE("operators: hold, resume, retry and remove a waiting message") {
    Pool pool;
    const auto id = pool.accepted();
    pool.queue->park(id, pool.clock.wall() + 1h);
    pool.home.run();
    REQUIRE(pool.act(id, Action::hold).has_value());
    pool.clock.advance(2h);
    CHECK(pool.claim().empty());
    CHECK(pool.find(id)->held_why == "by test");
    pool.wakes = 0;
    REQUIRE(pool.act(id, Action::resume).has_value());
    CHECK(pool.wakes == 1);
    REQUIRE(pool.claim().size() == 1);
    pool.queue->park(id, pool.clock.wall() + 1h);
    pool.home.run();
    REQUIRE(pool.act(id, Action::retry).has_value());
    REQUIRE(pool.claim().size() == 1);
    pool.queue->park(id, pool.clock.wall() + 1h);
    pool.home.run();
    REQUIRE(pool.act(id, Action::remove).has_value());
    CHECK(pool.act(id, Action::remove).error().code == Errc::not_found);
    CHECK(pool.queue->counters().messages == 0);
}

TEST_CASE("operators reach a message that is being delivered") {
    Pool pool;
    SUBCASE("remove: the attempt may not end it, and its outcome is nobody's any more") {
        const auto id = pool.accepted();
        pool.intend(id, 1, {0});
        REQUIRE(pool.act(id, Action::remove).has_value());
        CHECK(pool.acted == std::vector{std::pair{id, Action::remove}});
        CHECK_FALSE(pool.queue->may_send_dot(id, 1));
        CHECK_FALSE(pool.queue->delivering(id));
        CHECK(
            pool.settle({.id = id, .outcomes = {outcome(0, OutcomeKind::deferred)}}).error().code ==
            Errc::not_found);
        CHECK(pool.queue->counters().messages == 0);
        CHECK(pool.queue->idle());
        pool.restart();
        CHECK(pool.open_intents() == 0);  // its attempts went with it
    }
    SUBCASE("hold: the attempt's outcome counts, and no other follows") {
        const auto id = pool.accepted();
        pool.intend(id, 1, {0});
        REQUIRE(pool.act(id, Action::hold).has_value());
        CHECK_FALSE(pool.queue->may_send_dot(id, 1));
        REQUIRE(pool.settle({.id = id,
                             .outcomes = {outcome(0, OutcomeKind::delivered)},
                             .next_due = pool.clock.wall()})
                    .has_value());
        CHECK(pool.claim().empty());
        CHECK(pool.find(id)->recipients[0].state == RecipientState::delivered);
        CHECK(pool.find(id)->held);
    }
    SUBCASE("resume: it is not claimed a second time while the attempt lasts") {
        const auto id = pool.accepted();
        REQUIRE(pool.act(id, Action::hold).has_value());
        REQUIRE(pool.act(id, Action::resume).has_value());
        CHECK(pool.claim().empty());
        REQUIRE(pool.settle({.id = id,
                             .outcomes = {outcome(0, OutcomeKind::delivered)},
                             .next_due = pool.clock.wall()})
                    .has_value());
        CHECK(pool.claim().size() == 1);
    }
}

TEST_CASE("an attempt cut off by a crash is in doubt (P4)") {
    SUBCASE("resend: due again at once, and counted") {
        Pool pool;
        const auto id = pool.accepted();
        pool.intend(id, 1, {0});
        pool.intend(id, 2, {1});
        pool.restart();
        CHECK(pool.queue->counters().in_doubt == 2);
        const auto found = pool.claim();
        REQUIRE(found.size() == 1);
        CHECK(found.front().in_doubt == 2);
        CHECK(found.front().recipients[0].last.remote == "mx.example.net");
        pool.restart();
        CHECK(pool.queue->counters().in_doubt == 0);  // resolved once
    }
    SUBCASE("hold: waits for an operator") {
        Pool pool({}, InDoubtPolicy::hold);
        const auto id = pool.accepted();
        pool.intend(id, 1, {0});
        pool.restart();
        CHECK(pool.claim().empty());
        CHECK(pool.find(id)->held);
    }
    SUBCASE("bounce: handed over, claimed") {
        Pool pool({}, InDoubtPolicy::bounce);
        const auto id = pool.accepted();
        pool.intend(id, 1, {0});
        pool.restart();
        CHECK(pool.claim().empty());
        CHECK(pool.bounced == std::vector{id});
    }
    SUBCASE("an attempt whose outcome was recorded is not in doubt") {
        Pool pool;
        const auto id = pool.accepted();
        pool.intend(id, 1, {0, 1});
        REQUIRE(pool.settle({.id = id,
                             .outcomes = {outcome(0, OutcomeKind::deferred)},
                             .next_due = pool.clock.wall() + 1h,
                             .ended_attempts = {1}})
                    .has_value());
        pool.restart();
        CHECK(pool.queue->counters().in_doubt == 0);
    }
}

TEST_CASE("list pages through the queue in id order") {
    Pool pool;
    std::vector<QueueId> ids;
    for (int i = 0; i < 5; ++i) ids.push_back(pool.accepted());
    std::vector<QueueId> listed;
    QueueId after;
    for (;;) {
        std::vector<Envelope> page;
        pool.queue->list(after, 2,
                         [&](Result<std::vector<Envelope>> result) { page = result.value(); });
        pool.home.run();
        for (const auto& envelope : page) listed.push_back(envelope.id);
        if (page.size() < 2) break;
        after = page.back().id;
    }
    CHECK(listed == ids);
}

TEST_CASE("next_due is the soonest of what is not claimed") {
    Pool pool;
    const auto soonest = [&] {
        WallTime when{};
        pool.queue->next_due([&](Result<WallTime> result) { when = result.value(); });
        pool.home.run();
        return when;
    };
    const auto id = pool.accepted();
    CHECK(soonest() == never);
    const auto later = pool.clock.wall() + 7min;
    pool.queue->park(id, later);
    pool.home.run();
    CHECK(soonest() == later);
}
