#include "storage/queue_ops.h"

#include <doctest/doctest.h>

#include "tests/unit/storage/samples.h"

using namespace posthorse;
using namespace posthorse::storage;

namespace {

RecipientOutcome outcome(std::uint32_t recipient, OutcomeKind kind, int code) {
    return {.recipient = recipient,
            .kind = kind,
            .status = {.reply = {.code = code, .enhanced = {}, .text = "text"},
                       .remote = "mx.example.net[192.0.2.1]:25",
                       .tls = {},
                       .at = at_ms(2000)}};
}

const Envelope before = sample_envelope(sample_id(1));

}  // namespace

TEST_CASE("an outcome counts for its recipient, and the message waits for the others") {
    const std::vector outcomes{outcome(0, OutcomeKind::delivered, 250)};
    const auto after = apply_outcomes(before, outcomes, at_ms(7000));
    REQUIRE(after);
    CHECK(after->version == before.version + 1);
    CHECK(after->due_at == at_ms(7000));
    CHECK(after->recipients[0].state == RecipientState::delivered);
    CHECK(after->recipients[0].attempts == 1);
    CHECK(after->recipients[0].last == outcomes[0].status);
    CHECK(after->recipients[1] == before.recipients[1]);
}

TEST_CASE("a deferred recipient stays pending and remembers why") {
    const std::vector outcomes{outcome(1, OutcomeKind::deferred, 450)};
    const auto once = apply_outcomes(before, outcomes, at_ms(7000));
    const auto twice = apply_outcomes(*once, outcomes, at_ms(8000));
    REQUIRE(twice);
    CHECK(twice->recipients[1].state == RecipientState::pending);
    CHECK(twice->recipients[1].attempts == 2);
    CHECK(twice->recipients[1].last.reply.code == 450);
}

TEST_CASE("when no recipient is pending the message is done") {
    const std::vector outcomes{outcome(0, OutcomeKind::delivered, 250),
                               outcome(1, OutcomeKind::failed, 550)};
    CHECK_FALSE(apply_outcomes(before, outcomes, at_ms(7000)));
}

TEST_CASE("what is final stays as it is, whatever is said later") {
    const auto delivered =
        apply_outcomes(before, std::vector{outcome(0, OutcomeKind::delivered, 250)}, at_ms(7000));
    for (const OutcomeKind later : {OutcomeKind::deferred, OutcomeKind::failed}) {
        const auto after =
            apply_outcomes(*delivered, std::vector{outcome(0, later, 550)}, at_ms(8000));
        REQUIRE(after);
        CHECK(after->recipients[0] == delivered->recipients[0]);
    }
}

TEST_CASE("a held message is due never, whatever happens to it, until it is resumed") {
    const Envelope held = hold(before, "asked for");
    CHECK(held.due_at == never);
    CHECK(held.held_why == "asked for");
    CHECK(retry(held, at_ms(1)).due_at == never);
    CHECK(park(held, at_ms(1)).due_at == never);
    const auto after =
        apply_outcomes(held, std::vector{outcome(0, OutcomeKind::deferred, 450)}, at_ms(7000));
    CHECK(after->due_at == never);
    CHECK(after->held);
    const Envelope resumed = resume(*after, at_ms(9000));
    CHECK(resumed.due_at == at_ms(9000));
    CHECK_FALSE(resumed.held);
    CHECK(resumed.held_why.empty());
}

TEST_CASE("no change makes a message due before its release") {
    Envelope later = before;
    later.release_at = later.due_at = at_ms(50'000);
    CHECK(retry(later, at_ms(1)).due_at == at_ms(50'000));
    CHECK(park(later, at_ms(1)).due_at == at_ms(50'000));
    CHECK(park(later, at_ms(60'000)).due_at == at_ms(60'000));
    const Envelope held = hold(later, "asked for");
    CHECK(held.due_at == never);
    CHECK(resume(held, at_ms(1)).due_at == at_ms(50'000));
    CHECK(resume(held, at_ms(60'000)).due_at == at_ms(60'000));
}

TEST_CASE("every change has a higher version") {
    const Intent intent{before.id, 1, {0}, "mx", at_ms(1), {}};
    for (const Envelope& after :
         {hold(before, ""), resume(before, at_ms(1)), retry(before, at_ms(1)),
          park(before, at_ms(1)), mark_warned(before), mark_in_doubt(before, intent, at_ms(1)),
          settle_doubts(before, at_ms(1), 0), *apply_outcomes(before, {}, at_ms(1))})
        CHECK(after.version == before.version + 1);
}

TEST_CASE("a warned message keeps its due time and is not warned again") {
    const Envelope warned = mark_warned(before);
    CHECK(warned.warn_at == never);
    CHECK(warned.due_at == before.due_at);
}

TEST_CASE("an attempt in doubt is counted for the message and its pending recipients") {
    const auto current =
        apply_outcomes(before, std::vector{outcome(0, OutcomeKind::delivered, 250)}, at_ms(7000));
    const Intent intent{before.id, 3, {0, 1}, "mx.example.net[192.0.2.1]:25", at_ms(4000), {}};
    const Envelope after = mark_in_doubt(*current, intent, at_ms(8000));
    CHECK(after.in_doubt == 1);
    CHECK(after.due_at == at_ms(8000));
    CHECK(after.recipients[0] == current->recipients[0]);
    CHECK(after.recipients[1].state == RecipientState::pending);
    CHECK(after.recipients[1].attempts == 1);
    CHECK(after.recipients[1].last.reply.code == 0);
    CHECK(after.recipients[1].last.remote == intent.remote);
}

TEST_CASE("an attempt in doubt stays open, with all that its intent said, until it is told") {
    const Intent first{before.id, 3, {0}, "mx1[192.0.2.1]:25", at_ms(4000), sample_node(1)};
    const Intent second{before.id, 4, {1}, "mx2[192.0.2.2]:25", at_ms(5000), sample_node(2)};
    const Envelope after =
        mark_in_doubt(mark_in_doubt(before, first, at_ms(8000)), second, at_ms(9000));
    CHECK(after.in_doubt == 2);
    REQUIRE(after.doubts.size() == 2);
    CHECK(after.doubts[0] == Doubt{3, {0}, first.remote, first.started, first.by});
    CHECK(after.doubts[1] == Doubt{4, {1}, second.remote, second.started, second.by});

    const std::vector<std::uint32_t> told{3, 99};
    std::vector<RecipientOutcome> lost{{.recipient = 0, .kind = OutcomeKind::deferred}};
    lost[0].status.reply_lost = true;
    const Envelope rest = end_attempts(after, told, lost);  // told, and counted before
    REQUIRE(rest.doubts.size() == 1);
    CHECK(rest.doubts[0].attempt == 4);
    CHECK(rest.in_doubt == 2);
    CHECK(rest.version == after.version);
}

TEST_CASE(
    "claims that were cut off are counted until one comes to its end, or an operator says so") {
    const Envelope twice = settle_doubts(settle_doubts(before, at_ms(1), 1), at_ms(1), 1);
    CHECK(twice.cut_off == 2);
    CHECK(after_claim(twice, AttemptEnd::cut_off).cut_off == 3);
    CHECK(after_claim(twice, AttemptEnd::unfinished).cut_off == 2);
    CHECK(after_claim(twice, AttemptEnd::completed).cut_off == 0);
    CHECK(after_claim(twice, AttemptEnd::completed).version == twice.version);  // part of a change
    CHECK(resume(hold(twice, "poison"), at_ms(1)).cut_off == 0);
    CHECK(retry(twice, at_ms(1)).cut_off == 2);
}

TEST_CASE("an attempt whose reply was lost is counted as in doubt, once") {
    std::vector<RecipientOutcome> outcomes{{.recipient = 0, .kind = OutcomeKind::deferred},
                                           {.recipient = 1, .kind = OutcomeKind::deferred}};
    const std::vector<std::uint32_t> ended{3};
    CHECK(end_attempts(before, ended, outcomes) == before);
    outcomes[0].status.reply_lost = outcomes[1].status.reply_lost = true;
    CHECK(end_attempts(before, ended, outcomes).in_doubt == before.in_doubt + 1);
}

TEST_CASE("an attempt that is in doubt already is not counted again, and its intent can end") {
    const Intent intent{before.id, 3, {0}, "mx1[192.0.2.1]:25", at_ms(4000), sample_node(1)};
    const Envelope once = mark_in_doubt(before, intent, at_ms(8000));
    const Envelope twice = mark_in_doubt(once, intent, at_ms(8000));
    CHECK(twice.in_doubt == 1);
    CHECK(twice.doubts == once.doubts);
    CHECK(twice.recipients == once.recipients);
    CHECK(settle(once, twice, {}, {3}).ended_attempts.size() == 1);
}

TEST_CASE("a held message has its doubts, too, and stays held when they are settled") {
    const Intent intent{before.id, 3, {0}, "mx1[192.0.2.1]:25", at_ms(4000), {}};
    const Envelope held = mark_in_doubt(hold(before, "asked for"), intent, at_ms(8000));
    CHECK(held.in_doubt == 1);
    CHECK(held.doubts.size() == 1);
    CHECK(held.due_at == never);
    const Envelope settled = settle_doubts(held, at_ms(9000), 0);
    CHECK(settled.doubts.empty());
    CHECK(settled.in_doubt == 1);
    CHECK(settled.due_at == never);
    CHECK(settled.version == held.version + 1);
}

TEST_CASE("when the doubts are settled the message is due, and they count for ever") {
    const Intent intent{before.id, 3, {0}, "mx1[192.0.2.1]:25", at_ms(4000), {}};
    const Envelope settled =
        settle_doubts(mark_in_doubt(before, intent, at_ms(8000)), at_ms(10), 0);
    CHECK(settled.doubts.empty());
    CHECK(settled.in_doubt == 1);
    CHECK(settled.due_at == at_ms(10));
}

TEST_CASE("a timeline keeps its first event and the newest ones") {
    Envelope envelope = before;
    const auto event = [](std::size_t number) {
        return HistoryEvent{at_ms(static_cast<std::int64_t>(number)), sample_node(1),
                            "event " + std::to_string(number)};
    };
    for (std::size_t number = 0; number < history_events_max; ++number)
        envelope = note(envelope, event(number));
    CHECK(envelope.history.size() == history_events_max);
    CHECK(envelope.history[1] == event(1));
    envelope = note(note(envelope, event(100)), event(101));
    REQUIRE(envelope.history.size() == history_events_max);
    CHECK(envelope.history.front() == event(0));
    CHECK(envelope.history[1] == event(3));
    CHECK(envelope.history.back() == event(101));
    CHECK(envelope.version == before.version);
}

TEST_CASE("an event is printable and short") {
    const Envelope envelope =
        note(before, {at_ms(1), {}, "550 \x1B[31mno\xFF" + std::string(1000, 'x')});
    const std::string& what = envelope.history.at(0).what;
    CHECK(what.size() == history_text_max);
    CHECK(what.starts_with("550 ?[31mno?x"));
}

TEST_CASE("a settlement names what the store cannot know") {
    const Envelope chunked = sample_envelope(sample_id(1), at_ms(1234), 5);
    const NewMessage notice{sample_envelope(sample_id(2)), make_chunk("bounce")};
    const Settle operation = settle(chunked, std::nullopt, {notice}, {4, 5});
    CHECK(operation.id == chunked.id);
    CHECK(operation.due_before == at_ms(1234));
    CHECK(operation.chunk_count == 5);
    CHECK_FALSE(operation.after);
    CHECK(operation.notices.size() == 1);
    CHECK(operation.ended_attempts == std::vector<std::uint32_t>{4, 5});
    CHECK(settle(chunked, park(chunked, at_ms(9)), {}, {}).after->due_at == at_ms(9));
}
