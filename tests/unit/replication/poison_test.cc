// A message whose delivery ends its node, again and again, is held.
#include <doctest/doctest.h>

#include "tests/unit/replication/cluster.h"
#include "tests/unit/replication/queue_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

// Its owner begins to deliver it, and dies of that.
struct Deadly {
    QueuePool& pool;
    std::vector<Envelope> poisoned;

    explicit Deadly(QueuePool& owner) : pool(owner) { listen(); }
    void listen() {
        pool.queue->on_poison([this](const Envelope& held) { poisoned.push_back(held); });
    }
    void deliver(const Envelope& claimed) {
        pool.intend(claimed.id, attempt_number(claimed, 0), {0});
        pool.intend(claimed.id, attempt_number(claimed, 1), {1});
        pool.restart();
        listen();
    }
    // False: it is not handed out.
    bool deliver_if_due() {
        auto found = pool.claim();
        if (found.empty()) found = pool.claim();  // it was put apart, and its time has come
        if (found.empty()) return false;
        REQUIRE(found.size() == 1);
        deliver(found.front());
        return true;
    }
};

Settlement settlement(const Envelope& claimed, AttemptEnd end) {
    return {.id = claimed.id,
            .outcomes = {outcome(0, OutcomeKind::deferred)},
            .next_due = {},
            .end = end};
}

}  // namespace

TEST_CASE("a message that ends its node three times in a row is held, and says why") {
    QueuePool pool;
    const auto id = pool.accepted();
    Deadly deadly(pool);
    deadly.deliver(*pool.find(id));
    int more = 0;
    while (deadly.deliver_if_due()) ++more;
    CHECK(more == 2);  // two attempts side by side are one end
    const auto held = pool.find(id);
    CHECK(held->held);
    CHECK(held->held_why.starts_with("poison: 3 deliveries in a row"));
    CHECK(held->history.back().what.starts_with("held: poison"));
    CHECK(held->doubts.empty());
    REQUIRE(deadly.poisoned.size() == 1);
    CHECK(deadly.poisoned.front() == *held);

    SUBCASE("an operator who resumes it gives it all attempts anew") {
        CHECK(pool.act(id, Action::resume)->cut_off == 0);
        int again = 0;
        while (deadly.deliver_if_due()) ++again;
        CHECK(again == 3);
        CHECK(pool.find(id)->held);
    }
    SUBCASE("and it stays held through starts") {
        pool.restart();
        CHECK(pool.claim().empty());
        CHECK(pool.find(id)->held);
    }
}

TEST_CASE("the guard counts to its setting, and 0 turns it off") {
    for (const std::uint32_t limit : {0u, 1u, 2u, 5u}) {
        CAPTURE(limit);
        QueuePool pool;
        pool.settings.poison_attempts = limit;
        pool.restart();
        Deadly deadly(pool);
        const auto id = pool.waiting();
        std::uint32_t ends = 0;
        while (ends < 8 && deadly.deliver_if_due()) ++ends;
        CHECK(ends == (limit == 0 ? 8 : limit));
        CHECK(pool.find(id)->held == (limit != 0));
    }
}

TEST_CASE(
    "a claim that comes to its end clears the message, one that this node broke off does not") {
    for (const auto end : {AttemptEnd::completed, AttemptEnd::unfinished}) {
        QueuePool pool;
        const auto id = pool.accepted();
        Deadly deadly(pool);
        deadly.deliver(*pool.find(id));
        const auto second = pool.claim();
        REQUIRE(second.size() == 1);
        CHECK(second.front().cut_off == 1);
        REQUIRE(pool.settle(settlement(second.front(), end)).has_value());
        CHECK(pool.find(id)->cut_off == (end == AttemptEnd::completed ? 0 : 1));
    }
}

TEST_CASE("deliveries that stall are counted like those that end their node") {
    QueuePool pool;
    const auto id = pool.accepted();
    Deadly deadly(pool);
    deadly.deliver(*pool.find(id));
    for (int i = 0; i < 2; ++i) {
        auto found = pool.claim();
        REQUIRE(found.size() == 1);
        CHECK_FALSE(pool.find(id)->held);
        REQUIRE(pool.settle(settlement(found.front(), AttemptEnd::cut_off)).has_value());
    }
    CHECK(pool.find(id)->held);
    CHECK(pool.find(id)->held_why.starts_with("poison: 3"));
    CHECK(deadly.poisoned.size() == 1);
    CHECK(pool.claim().empty());
}

TEST_CASE("before its last attempt it waits, so that what was beside it goes alone") {
    QueuePool pool;
    pool.settings.poison_spread = 100s;
    pool.settings.random = [] { return 250u; };  // of 1000
    pool.restart();
    const auto id = pool.accepted();
    Deadly deadly(pool);
    deadly.deliver(*pool.find(id));
    REQUIRE(deadly.deliver_if_due());
    CHECK(pool.claim().empty());
    CHECK(pool.claim().empty());
    CHECK(pool.find(id)->due_at == pool.clock.wall() + 25s);
    CHECK(pool.find(id)->cut_off == 2);
    pool.clock.advance(25s);
    CHECK(pool.claim().size() == 1);
}

TEST_CASE("the policy for doubts comes first where it ends them") {
    SUBCASE("bounce") {
        QueuePool pool({}, InDoubtPolicy::bounce);
        pool.settings.poison_attempts = 1;
        pool.restart();
        const auto id = pool.accepted();
        Deadly deadly(pool);
        deadly.deliver(*pool.find(id));
        CHECK(pool.claim().empty());
        CHECK(pool.bounced == std::vector{id});
        CHECK_FALSE(pool.find(id)->held);
    }
    SUBCASE("hold: an operator hears of poison first") {
        QueuePool pool({}, InDoubtPolicy::hold);
        pool.settings.poison_attempts = 1;
        pool.restart();
        const auto id = pool.accepted();
        Deadly deadly(pool);
        deadly.deliver(*pool.find(id));
        CHECK(pool.claim().empty());
        CHECK(pool.find(id)->held_why.starts_with("poison: 1"));
    }
}

TEST_CASE("the count goes with the message from owner to owner") {
    Cluster pool(3, {{1, 2, 3}});
    const auto id = pool[1].accepted();
    int owner = 1;
    std::vector<int> owners;
    for (int ends = 0; ends < 3; ++ends) {
        const auto envelope = pool[owner].find(id).value();
        CHECK(envelope.cut_off <= 2);
        pool[owner].intend(id, attempt_number(envelope, 0), {0, 1});
        owners.push_back(owner);
        pool.kill(owner);
        pool.evict(owner);
        pool.begin_anew(owner);  // it knows nothing of how it ended
        pool.pass(3s);
        for (int number = 1; number <= 3; ++number) {
            if (*pool.partition().owner == test_node(static_cast<std::uint8_t>(number)))
                owner = number;
        }
        auto found = pool[owner].claim();
        if (found.empty()) found = pool[owner].claim();
        CHECK(found.size() == (ends < 2 ? 1 : 0));
    }
    CHECK(owners.front() != owners.back());
    CHECK(pool[owner].find(id)->held_why.starts_with("poison: 3"));
}

TEST_CASE("an owner that lives and lost its lease has ended nothing: it tells, or goes on") {
    Cluster pool(2, {{1, 2}});
    const auto id = pool[1].accepted();
    const auto attempt = attempt_number(pool[1].find(id).value(), 0);
    pool[1].intend(id, attempt, {0, 1});
    pool.evict(1);
    pool[2].control->live = true;
    pool.pass(2s);
    REQUIRE(*pool.partition().owner == test_node(2));
    CHECK_FALSE(pool[1].queue->will_be_asked());
    const Settlement late{
        .id = id,
        .outcomes = {outcome(0, OutcomeKind::deferred), outcome(1, OutcomeKind::deferred)},
        .ended_attempts = {attempt}};
    SUBCASE("nobody asks it while the message would wait for its answer") {
        pool.network.cut(test_node(1), test_node(2));
        CHECK_FALSE(pool[1].settle(late).has_value());
        pool.clock.advance(10min);
        CHECK(pool[1].queue->will_be_asked());
        pool.clock.advance(1min);
        CHECK_FALSE(pool[1].queue->will_be_asked());
    }
    SUBCASE("it is up, and sends still when the wait is over") {
        pool.pass(1s);
        pool.clock.advance(11min);
        auto found = pool[2].claim();
        REQUIRE(found.size() == 1);
        CHECK(found.front().cut_off == 0);
    }
    SUBCASE("it tells") {
        CHECK_FALSE(pool[1].settle(late).has_value());
        CHECK(pool[1].queue->will_be_asked());
        pool.pass(6s);
        REQUIRE(pool[2].told.size() == 1);
        CHECK(pool[2].told.front().envelope.cut_off == 0);
        CHECK_FALSE(pool[1].queue->will_be_asked());
    }
}
