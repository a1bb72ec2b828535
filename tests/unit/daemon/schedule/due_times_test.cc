#include "daemon/schedule/due_times.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::schedule;
using namespace std::chrono_literals;

namespace {

const WallTime now{1000h};
constexpr RetryBounds retry{.retry_min = 5min, .retry_max = 1h};

Envelope envelope() {
    Envelope made;
    made.expires_at = now + 100h;
    made.warn_at = never;
    made.recipients = {{.address = "ann@example.org"}, {.address = "bob@example.org"}};
    return made;
}

DeliverBy deliver_by(DeliverBy::Otherwise otherwise, WallTime at) {
    return {.otherwise = otherwise, .at = at};
}

}  // namespace

TEST_CASE("what is parked comes back before its sender must hear of it") {
    auto message = envelope();
    CHECK(due_when_parked(message, now + 10min, now) == now + 10min);
    message.warn_at = now + 5min;
    CHECK(due_when_parked(message, now + 10min, now) == now + 5min);
    message.warn_at = now - 5min;
    message.expires_at = now + 3min;
    CHECK(due_when_parked(message, now + 10min, now) == now + 3min);
}

TEST_CASE("an attempt never follows another too soon, but a time that the sender named is kept") {
    auto message = envelope();
    CHECK(due_after_failure(message, retry, 20min, now) == now + 20min);
    message.expires_at = now + 10min;
    CHECK(due_after_failure(message, retry, 20min, now) == now + 10min);
    message.expires_at = now + 1min;
    CHECK(due_after_failure(message, retry, 20min, now) == now + 5min);
    message.wishes.deliver_by = deliver_by(DeliverBy::Otherwise::give_back, now + 2min);
    CHECK(due_after_failure(message, retry, 20min, now) == now + 2min);
}

TEST_CASE("a sender is told at the time that it named, and of no other by this") {
    auto message = envelope();
    message.warn_at = now + 1h;
    CHECK(told_at(message) == never);
    message.wishes.deliver_by = deliver_by(DeliverBy::Otherwise::notify, now + 1h);
    CHECK(told_at(message) == now + 1h);
    message.warn_at = never;  // it was told
    CHECK(told_at(message) == never);
    message.wishes.deliver_by = deliver_by(DeliverBy::Otherwise::give_back, now + 2h);
    CHECK(told_at(message) == now + 2h);
}

TEST_CASE("a notice between two attempts does not hasten the second") {
    auto message = envelope();
    CHECK(due_after_notice(message, 5min, now) == now);
    message.recipients[0].last.at = now - 2min;
    message.recipients[1].last.at = now - 4min;
    CHECK(due_after_notice(message, 5min, now) == now + 3min);
    message.recipients[0].state = RecipientState::delivered;
    CHECK(due_after_notice(message, 5min, now) == now + 1min);
    message.recipients[1].last.at = now + 1h;  // the clock went back
    CHECK(due_after_notice(message, 5min, now) == now + 5min);
}

TEST_CASE("of several recipients the one that failed most often counts") {
    auto message = envelope();
    message.recipients[0].attempts = 7;
    message.recipients[1].attempts = 2;
    std::vector<RecipientOutcome> outcomes{{.recipient = 0, .kind = OutcomeKind::failed},
                                           {.recipient = 1, .kind = OutcomeKind::deferred}};
    CHECK(failures_of(message, outcomes) == 3);
    outcomes[0].kind = OutcomeKind::deferred;
    CHECK(failures_of(message, outcomes) == 8);
    CHECK(failures_of(message, {}) == 0);
}
