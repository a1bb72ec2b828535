#include "daemon/schedule/claim_results.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::schedule;

namespace {

JobResult result(std::uint32_t attempt, std::vector<RecipientOutcome> outcomes) {
    return {.attempt = attempt, .outcomes = std::move(outcomes)};
}
RecipientOutcome outcome(std::uint32_t recipient, OutcomeKind kind) {
    return {.recipient = recipient, .kind = kind};
}
Envelope envelope() {
    Envelope made;
    made.recipients = {{.address = "ann@example.org"}, {.address = "bob@example.org"}};
    return made;
}

using Attempts = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("what was delivered is recorded once, and the rest is reported at the end") {
    ClaimResults results;
    CHECK(results.empty());
    results.add(result(1, {outcome(0, OutcomeKind::delivered)}));
    results.add(result(2, {outcome(1, OutcomeKind::deferred)}));
    CHECK(results.has_delivered());
    CHECK(results.failures().size() == 1);

    auto message = envelope();
    const auto so_far = results.record(message);
    CHECK(so_far.goes_on);
    CHECK(so_far.outcomes == std::vector{outcome(0, OutcomeKind::delivered)});
    CHECK(so_far.ended_attempts == Attempts{1});
    CHECK(so_far.envelope.recipients[0].state == RecipientState::pending);  // as it was claimed
    CHECK(message.recipients[0].state == RecipientState::delivered);
    CHECK_FALSE(results.has_delivered());

    const auto end = results.report(message, WallTime{});
    CHECK_FALSE(end.goes_on);
    CHECK(end.outcomes == std::vector{outcome(1, OutcomeKind::deferred)});
    CHECK(end.ended_attempts == Attempts{2});
    CHECK(results.empty());
}

TEST_CASE("what was delivered and not recorded is reported at the end, with its attempt") {
    ClaimResults results;
    results.add(result(1, {outcome(0, OutcomeKind::delivered)}));
    results.add(result(2, {outcome(1, OutcomeKind::failed)}));
    const auto end = results.report(envelope(), WallTime{});
    CHECK(end.outcomes ==
          std::vector{outcome(1, OutcomeKind::failed), outcome(0, OutcomeKind::delivered)});
    CHECK(end.ended_attempts == Attempts{2, 1});
    CHECK(end.end == AttemptEnd::completed);
}

TEST_CASE("an attempt whose last reply was lost is in doubt, and not recorded before the end") {
    ClaimResults results;
    auto lost = outcome(1, OutcomeKind::deferred);
    lost.status.reply_lost = true;
    results.add(result(1, {outcome(0, OutcomeKind::delivered), lost}));
    auto message = envelope();
    CHECK(results.record(message).ended_attempts.empty());
    const auto end = results.report(message, WallTime{});
    CHECK(end.outcomes == std::vector{lost});
    CHECK(end.ended_attempts == Attempts{1});
}

TEST_CASE("recipients that nobody was asked about are deferred, without an attempt") {
    ClaimResults results;
    DeliveryStatus status;
    status.reply.text = "destination is down";
    results.add_unasked({0, 1}, status);
    const auto end = results.report(envelope(), WallTime{});
    REQUIRE(end.outcomes.size() == 2);
    CHECK(end.outcomes[1].recipient == 1);
    CHECK(end.outcomes[1].kind == OutcomeKind::deferred);
    CHECK(end.outcomes[1].status == status);
    CHECK(end.ended_attempts.empty());
    CHECK_FALSE(end.end);
}
