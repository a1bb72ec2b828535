#include "daemon/report/settle_decision.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/report/samples.h"

using namespace posthorse;
using namespace posthorse::report;
using namespace std::chrono_literals;
using replication::InDoubtPolicy;

namespace {

using Indices = std::vector<std::uint32_t>;

Ended ended(Envelope envelope, std::vector<RecipientOutcome> outcomes) {
    Ended made;
    made.envelope = std::move(envelope);
    made.outcomes = std::move(outcomes);
    return made;
}

std::vector<OutcomeKind> kinds(const Decision& decision) {
    std::vector<OutcomeKind> all;
    for (const auto& outcome : decision.outcomes) all.push_back(outcome.kind);
    return all;
}

constexpr auto soon = accepted + 1min;
constexpr auto resend = InDoubtPolicy::resend;

}  // namespace

TEST_CASE("what is delivered or deferred in time is nobody's news") {
    const auto decision =
        decide(ended(sample_envelope({"a@x", "b@x"}), {delivered(0), deferred(1)}), soon, resend);
    CHECK(kinds(decision) == std::vector{OutcomeKind::delivered, OutcomeKind::deferred});
    CHECK(decision.bounced.empty());
    CHECK(decision.delayed.empty());
    CHECK_FALSE(decision.warned);
    CHECK(decision.hold_why.empty());
}

TEST_CASE("one bounce names all that failed in this report, and no other") {
    auto envelope = sample_envelope({"a@x", "b@x", "c@x", "d@x"});
    envelope.recipients[3].state = RecipientState::failed;  // told in an earlier report
    const auto decision =
        decide(ended(envelope, {failed(0), deferred(1), failed(2), failed(3)}), soon, resend);
    CHECK(decision.bounced == Indices{0, 2});
}

TEST_CASE("nothing is decided of a message that goes on") {
    auto some = ended(sample_envelope({"a@x", "b@x"}), {delivered(0)});
    some.goes_on = true;
    const auto decision = decide(some, some.envelope.expires_at, resend);
    CHECK(kinds(decision) == std::vector{OutcomeKind::delivered});
    CHECK((decision.bounced.empty() && decision.delayed.empty() && !decision.warned));
}

TEST_CASE("past its time everything pending fails, with the reason that was last known") {
    auto envelope = sample_envelope({"tried@x", "earlier@x", "never@x", "done@x"});
    envelope.recipients[1].last = deferred(1).status;
    envelope.recipients[3].state = RecipientState::delivered;
    const auto decision = decide(ended(envelope, {deferred(0)}), envelope.expires_at, resend);
    REQUIRE(decision.outcomes.size() == 3);
    for (const auto& outcome : decision.outcomes) {
        CHECK(outcome.kind == OutcomeKind::failed);
        CHECK(is_expired(outcome));
    }
    CHECK(decision.outcomes[0].status.reply.code == 450);
    CHECK(decision.outcomes[1].status.reply.code == 450);
    CHECK(decision.outcomes[2].status.reply.enhanced == EnhancedCode{4, 4, 7});
    CHECK(decision.outcomes[2].status.at == envelope.expires_at);
    CHECK(decision.bounced == Indices{0, 1, 2});
    CHECK_FALSE(decision.warned);

    const auto early = decide(ended(envelope, {deferred(0)}), envelope.expires_at - 1ms, resend);
    CHECK(kinds(early) == std::vector{OutcomeKind::deferred});
}

TEST_CASE("a server's refusal and an operator's are no expiry") {
    CHECK_FALSE(is_expired(failed(0)));
    CHECK_FALSE(is_expired(deferred(0)));
    const auto decision = fail_all(sample_envelope(), {0, {5, 0, 0}, "by operator"}, soon);
    CHECK_FALSE(is_expired(decision.outcomes[0]));
}

TEST_CASE("a warning is owed once its time has come, for what is pending then") {
    const auto envelope = sample_envelope({"a@x", "b@x", "c@x"});
    const auto decision =
        decide(ended(envelope, {delivered(0), deferred(1)}), envelope.warn_at, resend);
    CHECK(decision.warned);
    CHECK(decision.delayed == Indices{1, 2});
    CHECK(decision.bounced.empty());

    auto warned = envelope;
    warned.warn_at = never;
    CHECK_FALSE(decide(ended(warned, {deferred(1)}), envelope.warn_at, resend).warned);
    CHECK_FALSE(decide(ended(envelope, {delivered(0), delivered(1), delivered(2)}),
                       envelope.warn_at, resend)
                    .warned);
}

TEST_CASE("failed and delayed recipients of one report are both told of") {
    const auto envelope = sample_envelope({"a@x", "b@x"});
    const auto decision =
        decide(ended(envelope, {failed(0), deferred(1)}), envelope.warn_at, resend);
    CHECK(decision.bounced == Indices{0});
    CHECK(decision.delayed == Indices{1});
}

TEST_CASE("the null sender is never told, and its mail ends all the same") {
    auto envelope = sample_envelope({"a@x", "b@x"});
    envelope.sender.clear();
    const auto late =
        decide(ended(envelope, {failed(0), deferred(1)}), envelope.expires_at, resend);
    CHECK(kinds(late) == std::vector{OutcomeKind::failed, OutcomeKind::failed});
    CHECK(late.bounced.empty());
    const auto warned = decide(ended(envelope, {deferred(0)}), envelope.warn_at, resend);
    CHECK(warned.warned);  // so that its time does not come again and again
    CHECK(warned.delayed.empty());
    CHECK(fail_all(envelope, {0, {5, 0, 0}, "x"}, soon).bounced.empty());
}

TEST_CASE("an attempt in doubt is sent again, held or bounced, as the policy says") {
    const auto message =
        ended(sample_envelope({"a@x", "b@x", "c@x"}), {lost(0), deferred(1), delivered(2)});

    const auto again = decide(message, soon, InDoubtPolicy::resend);
    CHECK(kinds(again)[0] == OutcomeKind::deferred);
    CHECK(again.hold_why.empty());

    const auto held = decide(message, soon, InDoubtPolicy::hold);
    CHECK(kinds(held)[0] == OutcomeKind::deferred);
    CHECK_FALSE(held.hold_why.empty());

    const auto bounced = decide(message, soon, InDoubtPolicy::bounce);
    CHECK(kinds(bounced) ==
          std::vector{OutcomeKind::failed, OutcomeKind::deferred, OutcomeKind::delivered});
    CHECK(bounced.bounced == Indices{0});
    CHECK(bounced.outcomes[0].status.reply.text.find("may have been delivered") !=
          std::string::npos);
}

TEST_CASE("a notice in doubt is sent again: nobody would hear of its failure") {
    auto notice = sample_envelope({"a@x"});
    notice.sender.clear();
    const auto decision = decide(ended(notice, {lost(0)}), soon, InDoubtPolicy::bounce);
    CHECK(kinds(decision) == std::vector{OutcomeKind::deferred});
}

TEST_CASE("what another node bounced in doubt is bounced as it said") {
    const auto first =
        decide(ended(sample_envelope({"a@x"}), {lost(0)}), soon, InDoubtPolicy::bounce);
    const auto told =
        decide(ended(sample_envelope({"a@x"}), first.outcomes), soon, InDoubtPolicy::bounce);
    CHECK(told.outcomes == first.outcomes);
    CHECK(told.bounced == Indices{0});
}

TEST_CASE("a connection that was lost before the dot is an ordinary delay") {
    auto before = lost(0);
    before.status.reply_lost = false;
    const auto message = ended(sample_envelope(), {before});
    CHECK(decide(message, soon, InDoubtPolicy::hold).hold_why.empty());
    CHECK(kinds(decide(message, soon, InDoubtPolicy::bounce))[0] == OutcomeKind::deferred);
}

TEST_CASE("nothing is held when nothing is pending") {
    const auto message = ended(sample_envelope({"a@x", "b@x"}), {failed(0), delivered(1)});
    CHECK(decide(message, soon, InDoubtPolicy::hold).hold_why.empty());
}

TEST_CASE("an operator's bounce fails what is pending and nothing else") {
    auto envelope = sample_envelope({"a@x", "b@x", "c@x"});
    envelope.recipients[1].state = RecipientState::delivered;
    const auto decision = fail_all(envelope, {0, {5, 0, 0}, "bounced by operator"}, soon);
    CHECK(decision.bounced == Indices{0, 2});
    REQUIRE(decision.outcomes.size() == 2);
    CHECK(decision.outcomes[1].recipient == 2);
    CHECK(decision.outcomes[1].status.reply.enhanced == EnhancedCode{5, 0, 0});
}

TEST_CASE("of attempts in doubt only those recipients fail that they may have reached") {
    auto envelope = sample_envelope({"reached@x", "other@x", "done@x"});
    envelope.recipients[2].state = RecipientState::delivered;
    envelope.doubts = {
        {.attempt = 7, .recipients = {0, 2}, .remote = "mx", .started = {}, .by = {}}};
    const auto decision = fail_doubtful(envelope, {0, {5, 4, 2}, "in doubt"}, soon);
    CHECK(decision.bounced == Indices{0});
    CHECK(kinds(decision) == std::vector{OutcomeKind::failed});
}

TEST_CASE("postponed failures are pending again, deliveries stay") {
    const auto outcomes = postpone_failures({delivered(0), failed(1), deferred(2)});
    CHECK(outcomes[0].kind == OutcomeKind::delivered);
    CHECK(outcomes[1].kind == OutcomeKind::deferred);
    CHECK(outcomes[1].status.reply.code == 550);
    CHECK(outcomes[2].kind == OutcomeKind::deferred);
}

TEST_CASE("a sender hears of what was asked for, and of nothing else (RFC 3461 section 4.1)") {
    auto envelope = sample_envelope({"never@x", "success@x", "failure@x", "delay@x", "unsaid@x"});
    envelope.recipients[0].wishes.notify = {.said = true};
    envelope.recipients[1].wishes.notify = {.said = true, .success = true};
    envelope.recipients[2].wishes.notify = {.said = true, .failure = true};
    envelope.recipients[3].wishes.notify = {.said = true, .delay = true};
    const auto all_failed = decide(
        ended(envelope, {failed(0), failed(1), failed(2), failed(3), failed(4)}), soon, resend);
    CHECK(all_failed.bounced == Indices{2, 4});
    CHECK(all_failed.relayed.empty());
    const auto late =
        decide(ended(envelope, {deferred(0), deferred(1), deferred(2), deferred(3), deferred(4)}),
               envelope.warn_at, resend);
    CHECK(late.delayed == Indices{3, 4});
    CHECK(late.warned);
    const auto all_delivered = decide(
        ended(envelope, {delivered(0), delivered(1), delivered(2), delivered(3), delivered(4)}),
        soon, resend);
    CHECK(all_delivered.relayed == Indices{1});
    CHECK(fail_all(envelope, {0, {5, 0, 0}, "by an operator"}, soon).bounced == Indices{2, 4});
}

TEST_CASE("success is told here only when the next server does not") {
    auto envelope = sample_envelope({"a@x", "b@x", "c@x"});
    for (auto& one : envelope.recipients) one.wishes.notify = {.said = true, .success = true};
    envelope.recipients[2].state = RecipientState::delivered;  // told in an earlier report
    auto passed_on = delivered(0);
    passed_on.status.notices_passed_on = true;
    auto some = ended(envelope, {passed_on, delivered(1), delivered(2)});
    CHECK(decide(some, soon, resend).relayed == Indices{1});
    some.goes_on = true;  // what was delivered is recorded now, and so is its notice
    CHECK(decide(some, soon, resend).relayed == Indices{1});
    some.envelope.sender.clear();
    CHECK(decide(some, soon, resend).relayed.empty());
}

TEST_CASE("a relay is told when the time of delivery wants it, asked for or not (RFC 2852)") {
    auto envelope = sample_envelope({"a@x", "b@x"});
    auto told = delivered(0);
    told.status.tell_relay = told.status.notices_passed_on = true;
    CHECK(decide(ended(envelope, {told, delivered(1)}), soon, resend).relayed == Indices{0});
    envelope.sender.clear();
    CHECK(decide(ended(envelope, {told, delivered(1)}), soon, resend).relayed.empty());
}

TEST_CASE("what lies in its mailbox is delivered, not relayed") {
    auto envelope = sample_envelope({"a@x", "b@x", "c@x"});
    for (auto& one : envelope.recipients) one.wishes.notify = {.said = true, .success = true};
    auto at_home = delivered(1);
    at_home.status.final_delivery = true;
    auto told_there = delivered(2);
    told_there.status.final_delivery = told_there.status.notices_passed_on = true;
    auto all = ended(envelope, {delivered(0), at_home, told_there});
    CHECK(decide(all, soon, resend).relayed == Indices{0});
    CHECK(decide(all, soon, resend).delivered == Indices{1});
    all.envelope.sender.clear();
    CHECK(decide(all, soon, resend).delivered.empty());
}
