// What every queue store must do, as one suite: run check_queue_store<Rig>() for a new one.
//
// A rig (store_rigs.h) is a store, the disk below it and the ways in which that disk fails.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "storage/queue_ops.h"
#include "tests/unit/storage/copy_conformance.h"
#include "tests/unit/storage/store_session.h"

namespace posthorse::storage {

template <class Rig>
void check_messages() {
    Session<Rig> queue;
    SUBCASE("a committed message can be read whole, also after a restart and a power loss") {
        const Envelope envelope = queue.commit(1);
        for (int life = 0; life < 3; ++life) {
            CHECK(*queue.envelope(envelope.id) == envelope);
            CHECK(*queue.chunk(envelope.id, 0) == "head 1");
            CHECK(error_of(queue.chunk(envelope.id, 1)) == Errc::not_found);
            CHECK(queue.store().stats().messages == 1);
            if (life == 0) queue.reopen();
            if (life == 1) queue.lose_power();
        }
    }
    SUBCASE("what does not exist is not found") {
        CHECK(error_of(queue.envelope(sample_id(9))) == Errc::not_found);
        CHECK(error_of(queue.chunk(sample_id(9), 0)) == Errc::not_found);
        CHECK(error_of(queue.claim_one(sample_id(9))) == Errc::not_found);
        CHECK(ids_of(queue.list()).empty());
        CHECK(queue.intents()->empty());
        CHECK(queue.next_due() == never);
    }
    SUBCASE("a body arrives in chunks before its message") {
        const Envelope envelope = sample_envelope(sample_id(1), at_ms(1000), 2);
        REQUIRE(queue.write(Append{envelope.id, 1, make_chunk("one")}));
        REQUIRE(queue.write(Append{envelope.id, 2, make_chunk("two")}));
        REQUIRE(queue.write(Commit{envelope, make_chunk("head")}));
        queue.lose_power();
        CHECK(*queue.chunk(envelope.id, 0) == "head");
        CHECK(*queue.chunk(envelope.id, 1) == "one");
        CHECK(*queue.chunk(envelope.id, 2) == "two");
        CHECK(error_of(queue.chunk(envelope.id, 3)) == Errc::not_found);
    }
    SUBCASE("an aborted body leaves nothing") {
        REQUIRE(queue.write(Append{sample_id(1), 1, make_chunk("one")}));
        REQUIRE(queue.write(Abort{sample_id(1), 1}));
        CHECK(error_of(queue.chunk(sample_id(1), 1)) == Errc::not_found);
        CHECK(error_of(queue.envelope(sample_id(1))) == Errc::not_found);
    }
    SUBCASE("a body without a message is collected at the next start, and no other") {
        const Envelope whole = sample_envelope(sample_id(1), at_ms(1000), 1);
        REQUIRE(queue.write(Append{whole.id, 1, make_chunk("whole")}));
        REQUIRE(queue.write(Append{sample_id(2), 1, make_chunk("orphan")}));
        REQUIRE(queue.write(Append{sample_id(2), 2, make_chunk("orphan")}));
        REQUIRE(queue.write(Commit{whole, make_chunk("head")}));
        queue.reopen();
        CHECK(error_of(queue.chunk(sample_id(2), 1)) == Errc::not_found);
        CHECK(error_of(queue.chunk(sample_id(2), 2)) == Errc::not_found);
        CHECK(*queue.chunk(whole.id, 1) == "whole");
    }
    SUBCASE("a chunk that is applied again after its message does not endanger the message") {
        const Envelope envelope = sample_envelope(sample_id(1), at_ms(1000), 1);
        REQUIRE(queue.write(Append{envelope.id, 1, make_chunk("one")}));
        REQUIRE(queue.write(Commit{envelope, make_chunk("head")}));
        REQUIRE(queue.apply(Append{envelope.id, 1, make_chunk("one")}, partition_a, Epoch{2}));
        queue.reopen();
        CHECK(*queue.chunk(envelope.id, 1) == "one");
        CHECK(*queue.envelope(envelope.id) == envelope);
    }
    SUBCASE("listing pages in id order, one partition at a time") {
        for (std::uint32_t counter : {3u, 1u, 2u}) queue.commit(counter);
        const Envelope other = sample_envelope(sample_id(1, partition_b));
        REQUIRE(queue.apply(Commit{other, make_chunk("b")}, partition_b, Epoch{1}));
        CHECK(ids_of(queue.list({}, 2)) == std::vector{sample_id(1), sample_id(2)});
        CHECK(ids_of(queue.list(sample_id(2), 2)) == std::vector{sample_id(3)});
        CHECK(ids_of(queue.list(sample_id(3), 2)).empty());
        CHECK(ids_of(queue.list({}, 10, partition_b)) == std::vector{other.id});
    }
}

// What the due index tells is what the envelopes tell.
template <class Rig>
void check_summary(Session<Rig>& queue, std::size_t limit) {
    const WallTime now = at_ms(60 * 60'000);
    QueueSummary expected;
    for (const Envelope& envelope : *queue.list()) expected.add(envelope, now);
    SummaryStep step;
    for (std::size_t steps = 0; !step.at_end; ++steps) {
        REQUIRE(steps < 20);
        const auto before = step.summary.total().messages;
        step = *queue.summarize(std::move(step), limit, now);
        CHECK(step.summary.total().messages <= before + limit);
    }
    CHECK(step.summary.total() == expected.total());
    CHECK(step.summary.largest(1000) == expected.largest(1000));
}

template <class Rig>
void check_summaries() {
    Session<Rig> queue;
    Envelope scattered = sample_envelope(sample_id(3), at_ms(3000));
    for (std::size_t i = 0; i <= indexed_domains_max; ++i)
        scattered.recipients.push_back(sample_recipient("x@" + std::to_string(i) + ".Example"));
    REQUIRE(queue.write(Commit{scattered, make_chunk("head")}));
    const Envelope first = queue.commit(1);
    queue.commit(2);
    const auto check = [&] {
        for (const std::size_t limit : {1u, 2u, 1000u}) check_summary(queue, limit);
    };
    check();
    SUBCASE("who has the mail does not wait for it") {
        const std::vector<RecipientOutcome> outcomes{
            {.recipient = 0, .kind = OutcomeKind::delivered, .status = {}}};
        REQUIRE(queue.write(settle(first, apply_outcomes(first, outcomes, at_ms(9000)), {}, {})));
        check();
        queue.lose_power();
        check();
    }
    SUBCASE("held mail waits") {
        REQUIRE(queue.write(settle(first, hold(first, "why"), {}, {})));
        check();
    }
    SUBCASE("a summary without room for more domains ends its step") {
        const WallTime now = at_ms(2000);
        SummaryStep step{.summary = QueueSummary(indexed_domains_max)};
        step = *queue.summarize(std::move(step), 1000, now);
        CHECK_FALSE(step.at_end);
        CHECK(step.summary.total().messages == 1);
    }
}

template <class Rig>
void check_settling() {
    Session<Rig> queue;
    const Envelope first = queue.commit(1);
    SUBCASE("a changed message has its new record and its new due time") {
        const Envelope later = park(first, at_ms(5000));
        REQUIRE(queue.write(settle(first, later, {}, {})));
        CHECK(*queue.envelope(first.id) == later);
        CHECK(ids_of(queue.claim(at_ms(4999))).empty());
        CHECK(queue.next_due() == at_ms(5000));
        CHECK(ids_of(queue.claim(at_ms(5000))) == std::vector{first.id});
    }
    SUBCASE("a message that is done goes, with its body and for ever") {
        REQUIRE(queue.write(settle(first, std::nullopt, {}, {})));
        queue.lose_power();
        CHECK(error_of(queue.envelope(first.id)) == Errc::not_found);
        CHECK(error_of(queue.chunk(first.id, 0)) == Errc::not_found);
        CHECK(queue.next_due() == never);
        CHECK(queue.store().stats().messages == 0);
    }
    SUBCASE("notices come with the change that causes them, free to be sent") {
        const Envelope notice = sample_envelope(sample_id(2), at_ms(700));
        REQUIRE(queue.write(settle(first, std::nullopt, {{notice, make_chunk("bounce")}}, {})));
        CHECK(ids_of(queue.claim(at_ms(700))) == std::vector{notice.id});
        queue.lose_power();
        CHECK(*queue.chunk(notice.id, 0) == "bounce");
        CHECK(ids_of(queue.list()) == std::vector{notice.id});
    }
    SUBCASE("a held message is due never") {
        REQUIRE(queue.write(settle(first, hold(first, "asked"), {}, {})));
        CHECK(queue.next_due() == never);
        CHECK(ids_of(queue.claim(never - std::chrono::milliseconds{1})).empty());
        CHECK(queue.store().stats().messages == 1);
        queue.reopen();
        CHECK(queue.store().stats().messages == 1);
    }
    SUBCASE("an intent is there until its attempt has ended") {
        const Intent intent{first.id, 7, {0, 1}, "mx.example.net[192.0.2.1]:25", at_ms(1500), {}};
        REQUIRE(queue.write(Intend{intent}));
        CHECK(*queue.intents() == std::vector{intent});
        queue.reopen();
        CHECK(*queue.intents() == std::vector{intent});
        REQUIRE(
            queue.apply(settle(first, park(first, at_ms(9000)), {}, {7}), partition_a, Epoch{2}));
        CHECK(queue.intents()->empty());
    }
    SUBCASE("an intent of a message that is gone is not told") {
        const Intent intent{first.id, 7, {0}, "mx.example.net[192.0.2.1]:25", at_ms(1500), {}};
        REQUIRE(queue.write(Intend{intent}));
        REQUIRE(queue.write(settle(first, std::nullopt, {}, {})));
        CHECK(queue.intents()->empty());
        queue.reopen();
        CHECK(queue.intents()->empty());
    }
}

template <class Rig>
void check_claims() {
    Session<Rig> queue;
    SUBCASE("a message is born claimed, and released once") {
        const Envelope envelope = queue.commit(1);
        CHECK(ids_of(queue.claim(at_ms(2000))).empty());
        CHECK(error_of(queue.claim_one(envelope.id)) == Errc::conflict);
        CHECK(queue.next_due() == never);
        queue.store().release(envelope.id);
        CHECK(queue.next_due() == at_ms(1000));
        CHECK(ids_of(queue.claim(at_ms(2000))) == std::vector{envelope.id});
        CHECK(ids_of(queue.claim(at_ms(2000))).empty());
    }
    SUBCASE("claims come soonest first, up to the limit, and only when due") {
        queue.commit_free(1, at_ms(3000));
        queue.commit_free(2, at_ms(1000));
        queue.commit_free(3, at_ms(2000));
        CHECK(ids_of(queue.claim(at_ms(999))).empty());
        CHECK(ids_of(queue.claim(at_ms(2999), 1)) == std::vector{sample_id(2)});
        CHECK(ids_of(queue.claim(at_ms(2999), 9)) == std::vector{sample_id(3)});
        CHECK(queue.next_due() == at_ms(3000));
        CHECK(ids_of(queue.claim(at_ms(3000), 0)).empty());
        CHECK(ids_of(queue.claim(at_ms(3000), 9)) == std::vector{sample_id(1)});
    }
}

template <class Rig>
void check_changes_of_claims() {
    Session<Rig> queue;
    SUBCASE("what is released or settled behind the scan is found again") {
        for (std::uint32_t counter = 1; counter <= 5; ++counter)
            queue.commit_free(counter, at_ms(1000 + counter));
        CHECK(ids_of(queue.claim(at_ms(9000))).size() == 5);
        queue.store().release(sample_id(2));
        CHECK(ids_of(queue.claim(at_ms(9000))) == std::vector{sample_id(2)});
        const Envelope third = *queue.envelope(sample_id(3));
        REQUIRE(queue.write(settle(third, park(third, at_ms(10)), {}, {})));
        CHECK(queue.next_due() == at_ms(10));
        CHECK(ids_of(queue.claim(at_ms(9000))) == std::vector{sample_id(3)});
        queue.commit_free(6, at_ms(5));
        CHECK(ids_of(queue.claim(at_ms(9000))) == std::vector{sample_id(6)});
    }
    SUBCASE("a message that is changed under its claimer stays claimed until he settles it") {
        const Envelope first = queue.commit(1);
        const Envelope retried = retry(first, at_ms(10));
        Settle change = settle(first, retried, {}, {});
        change.claim = ClaimAfter::stays;
        REQUIRE(queue.write(change));
        CHECK(*queue.envelope(first.id) == retried);
        CHECK(ids_of(queue.claim(at_ms(9000))).empty());
        REQUIRE(queue.write(settle(retried, park(retried, at_ms(20)), {}, {})));
        CHECK(ids_of(queue.claim(at_ms(9000))) == std::vector{first.id});
    }
    SUBCASE("one message can be claimed before it is due") {
        const Envelope envelope = queue.commit_free(1, at_ms(500'000));
        CHECK(*queue.claim_one(envelope.id) == envelope);
        CHECK(error_of(queue.claim_one(envelope.id)) == Errc::conflict);
        CHECK(ids_of(queue.claim(at_ms(600'000))).empty());
        queue.store().release(envelope.id);
        CHECK(ids_of(queue.claim(at_ms(600'000))) == std::vector{envelope.id});
    }
    SUBCASE("a restart begins with no claims") {
        queue.commit(1);
        queue.reopen();
        CHECK(ids_of(queue.claim(at_ms(2000))) == std::vector{sample_id(1)});
    }
    SUBCASE("releasing what is unknown changes nothing") {
        queue.store().release(sample_id(77));
        CHECK(queue.next_due() == never);
    }
    SUBCASE("partitions do not see each other's messages") {
        queue.commit_free(1);
        CHECK(ids_of(queue.claim(at_ms(2000), 9, Epoch{1}, partition_b)).empty());
        CHECK(queue.next_due(partition_b) == never);
    }
}

template <class Rig>
void check_fences() {
    Session<Rig> queue;
    const Envelope first = queue.commit(1);
    SUBCASE("an operation below the fence changes nothing, for ever") {
        REQUIRE(queue.fence(partition_a, Epoch{5}));
        const auto refused = [&] {
            CHECK(error_of(queue.write(settle(first, std::nullopt, {}, {}))) == Errc::fenced);
            CHECK(error_of(queue.write(Commit{sample_envelope(sample_id(2)), make_chunk("x")})) ==
                  Errc::fenced);
            CHECK(error_of(queue.claim(at_ms(2000))) == Errc::fenced);
            CHECK(error_of(queue.claim_one(first.id)) == Errc::fenced);
            CHECK(error_of(queue.fence(partition_a, Epoch{4})) == Errc::fenced);
            CHECK(ids_of(queue.list()) == std::vector{first.id});
        };
        refused();
        queue.lose_power();
        refused();
        REQUIRE(queue.store().partitions().size() == 1);
        CHECK(queue.store().partitions()[0].fence == Epoch{5});
        CHECK(queue.store().partitions()[0].at == Position{Epoch{1}, Sequence{1}});
    }
    SUBCASE("claims of lower epochs are void") {
        REQUIRE(queue.fence(partition_a, Epoch{2}));
        CHECK(ids_of(queue.claim(at_ms(2000), 9, Epoch{2})) == std::vector{first.id});
    }
    SUBCASE("the same fence twice is one") {
        REQUIRE(queue.fence(partition_a, Epoch{2}));
        REQUIRE(queue.claim_one(first.id, Epoch{2}));
        REQUIRE(queue.fence(partition_a, Epoch{2}));
        CHECK(error_of(queue.claim_one(first.id, Epoch{2})) == Errc::conflict);
    }
    SUBCASE("other partitions go on") {
        REQUIRE(queue.fence(partition_b, Epoch{9}));
        queue.commit(2);
        CHECK(ids_of(queue.list()).size() == 2);
    }
    SUBCASE("an operation of a higher epoch raises the fence, and no claim ends by it") {
        queue.commit(2);
        REQUIRE(queue.apply(settle(first, park(first, at_ms(1)), {}, {}), partition_a, Epoch{3}));
        CHECK(error_of(queue.write(settle(first, std::nullopt, {}, {}))) == Errc::fenced);
        CHECK(ids_of(queue.claim(at_ms(2000), 9, Epoch{3})) == std::vector{first.id});
    }
    SUBCASE("an operation that comes twice is applied once") {
        const Operation done = queue.stamped(settle(first, std::nullopt, {}, {}));
        const Operation commit =
            queue.stamped(Commit{sample_envelope(sample_id(2)), make_chunk("x")});
        const Operation removal =
            queue.stamped(settle(sample_envelope(sample_id(2)), std::nullopt, {}, {}));
        for (const Operation& operation : {done, commit, removal, done, commit, removal, commit})
            CHECK(queue.apply(operation));
        CHECK(ids_of(queue.list()).empty());
        CHECK(queue.store().stats().messages == 0);
        queue.lose_power();
        CHECK(queue.apply(commit));
        CHECK(ids_of(queue.list()).empty());
        CHECK(queue.store().partitions()[0].at == Position{Epoch{1}, removal.stamp.sequence});
    }
}

template <class Rig>
void check_failing_disks() {
    Session<Rig> queue;
    const Envelope first = queue.commit(1);
    SUBCASE("below the floor nothing new is taken, and what there is can be settled") {
        queue.rig.set_free_bytes(test_floor_bytes - 1);
        CHECK_FALSE(queue.store().stats().accepting);
        CHECK(error_of(queue.write(Append{sample_id(2), 1, make_chunk("x")})) == Errc::full);
        CHECK(error_of(queue.write(Commit{sample_envelope(sample_id(3)), make_chunk("x")})) ==
              Errc::full);
        CHECK(queue.write(settle(first, park(first, at_ms(4000)), {}, {})));
        CHECK(queue.write(Abort{sample_id(2), 0}));
        CHECK(ids_of(queue.list()) == std::vector{first.id});
        queue.rig.set_free_bytes(test_free_bytes);
        CHECK(queue.store().stats().accepting);
        CHECK(queue.write(Commit{sample_envelope(sample_id(3)), make_chunk("x")}));
    }
    SUBCASE("what would go below the floor is refused, what fits is not") {
        queue.rig.set_free_bytes(test_floor_bytes + 1000);
        CHECK(error_of(queue.write(Append{sample_id(2), 1, make_chunk(std::string(1001, 'x'))})) ==
              Errc::full);
        CHECK(queue.write(Append{sample_id(3), 1, make_chunk(std::string(999, 'x'))}));
    }
    SUBCASE("after a failed sync nothing is taken any more, though syncs would work again") {
        queue.rig.fail_next_sync();
        CHECK(error_of(queue.write(settle(first, std::nullopt, {}, {}))) == Errc::io);
        CHECK_FALSE(queue.store().healthy());
        for (int again = 0; again < 3; ++again) {
            CHECK(error_of(queue.write(Commit{sample_envelope(sample_id(2)), make_chunk("x")})) ==
                  Errc::io);
            CHECK(error_of(queue.fence(partition_a, Epoch{7})) == Errc::io);
            CHECK(error_of(queue.claim(at_ms(9000))) == Errc::io);
        }
        queue.rig.loop.run_all();
        REQUIRE_FALSE(queue.rig.reports.empty());
        queue.lose_power();
        CHECK(queue.store().healthy());
        CHECK(*queue.envelope(first.id) == first);
    }
}

template <class Rig>
void check_damage() {
    Session<Rig> queue;
    const Envelope first = queue.commit(1);
    SUBCASE("a record that cannot be read is set aside, told and counted; the rest goes on") {
        const Envelope second = queue.commit(2);
        queue.rig.stop();
        queue.rig.damage_envelope(first.id);
        REQUIRE(queue.rig.open());
        CHECK(ids_of(queue.claim(at_ms(9000))) == std::vector{second.id});
        queue.rig.loop.run_until([&] { return !queue.rig.reports.empty(); });
        CHECK(queue.rig.reports[0].find(first.id.to_string()) != std::string::npos);
        CHECK(queue.store().stats().set_aside == 1);
        CHECK(queue.store().stats().messages == 1);
        CHECK(error_of(queue.envelope(first.id)) == Errc::not_found);
        CHECK(*queue.chunk(first.id, 0) == "head 1");
        queue.lose_power();
        CHECK(queue.store().stats().set_aside == 1);
        CHECK(ids_of(queue.list()) == std::vector{second.id});
    }
    SUBCASE("whoever meets the damage first, it is set aside once") {
        queue.rig.stop();
        queue.rig.damage_envelope(first.id);
        REQUIRE(queue.rig.open());
        CHECK(ids_of(queue.list()).empty());
        queue.rig.loop.run_until([&] { return !queue.rig.reports.empty(); });
        CHECK(error_of(queue.envelope(first.id)) == Errc::not_found);
        CHECK(ids_of(queue.claim(at_ms(9000))).empty());
        CHECK(queue.store().stats().set_aside == 1);
        CHECK(queue.store().stats().messages == 0);
    }
}

template <class Rig>
void check_grouping() {
    Session<Rig> queue;
    SUBCASE("a store that closes completes everything") {
        std::size_t completed = 0;
        for (std::uint32_t counter = 10; counter < 60; ++counter) {
            queue.store().apply(
                queue.stamped(Commit{sample_envelope(sample_id(counter)), make_chunk("x")}),
                [&](Result<void> result) {
                    completed += 1;
                    CHECK((result.has_value() || result.error().code == Errc::cancelled));
                });
            queue.store().envelope(sample_id(counter),
                                   [&](const Result<Envelope>&) { completed += 1; });
        }
        queue.rig.stop();
        CHECK(completed == 100);
    }
    SUBCASE("many operations share a sync, and complete in order") {
        const std::uint64_t before = queue.store().stats().syncs;
        std::vector<std::uint32_t> completed;
        constexpr std::uint32_t count = 500;
        for (std::uint32_t counter = 0; counter < count; ++counter)
            queue.store().apply(
                queue.stamped(Commit{sample_envelope(sample_id(counter)), make_chunk("x")}),
                [&completed, counter](Result<void> result) {
                    REQUIRE(result);
                    completed.push_back(counter);
                });
        queue.rig.loop.run_until([&] { return completed.size() == count; });
        CHECK(std::ranges::is_sorted(completed));
        CHECK(queue.store().stats().syncs - before < count / 2);
        CHECK(queue.store().stats().messages == count);
        CHECK(ids_of(queue.list({}, count)).size() == count);
    }
    SUBCASE("a body of 50 MB streams through, chunk by chunk") {
        constexpr std::uint32_t chunks = 200;
        const auto bytes = [](std::uint32_t index) {
            return std::string(256 * 1024, static_cast<char>('a' + index % 26));
        };
        const Envelope envelope = sample_envelope(sample_id(1), at_ms(1000), chunks);
        for (std::uint32_t index = 1; index <= chunks; ++index)
            REQUIRE(queue.write(Append{envelope.id, index, make_chunk(bytes(index))}));
        REQUIRE(queue.write(Commit{envelope, make_chunk("head")}));
        queue.lose_power();
        bool equal = true;
        for (std::uint32_t index = 1; index <= chunks; ++index)
            equal = equal && *queue.chunk(envelope.id, index) == bytes(index);
        CHECK(equal);
    }
}

// A patient settlement shares the sync of others, or has one when it is told.
template <class Rig>
void check_patience() {
    Session<Rig> queue;
    const Envelope first = sample_envelope(sample_id(1));
    const Envelope second = sample_envelope(sample_id(2));
    for (const Envelope& one : {first, second}) REQUIRE(queue.write(Commit{one, make_chunk("x")}));
    int settled = 0;
    const auto settle_patiently = [&](const Envelope& before, std::optional<Envelope> after) {
        auto change = settle(before, std::move(after), {}, {});
        change.patient = true;
        queue.store().apply(queue.stamped(std::move(change)),
                            [&](Result<void> result) { settled += result ? 1 : 0; });
    };
    const auto write_other = [&] {
        REQUIRE(queue.write(Abort{sample_id(9), 0}));  // complete without a sync
    };
    settle_patiently(first, std::nullopt);
    SUBCASE("of others") {
        REQUIRE(queue.write(Commit{sample_envelope(sample_id(3)), make_chunk("x")}));
        CHECK(settled == 1);
    }
    SUBCASE("when it is told") {
        for (int often = 0; often < 1000 && settled == 0; ++often) {
            write_other();
            queue.store().sync_patient();
        }
        CHECK(settled == 1);
    }
    SUBCASE("when there are many") {
        Envelope parked = second;
        for (int many = 0; many < 1000; ++many) {
            const Envelope before = std::exchange(parked, park(parked, at_ms(many)));
            settle_patiently(before, parked);
            write_other();
        }
        CHECK(settled > 0);
    }
    queue.lose_power();
    CHECK_FALSE(queue.envelope(first.id).has_value());
    CHECK(queue.envelope(second.id).has_value());
}

template <class Rig>
void check_queue_store() {
    SUBCASE("messages") {
        check_messages<Rig>();
    }
    SUBCASE("summaries") {
        check_summaries<Rig>();
    }
    SUBCASE("settling") {
        check_settling<Rig>();
    }
    SUBCASE("claims") {
        check_claims<Rig>();
    }
    SUBCASE("changes of claims") {
        check_changes_of_claims<Rig>();
    }
    SUBCASE("fences") {
        check_fences<Rig>();
    }
    SUBCASE("failing disks") {
        check_failing_disks<Rig>();
    }
    SUBCASE("damage") {
        check_damage<Rig>();
    }
    SUBCASE("grouping") {
        check_grouping<Rig>();
    }
    SUBCASE("patience") {
        check_patience<Rig>();
    }
    SUBCASE("copies") {
        check_copies<Rig>();
    }
}

}  // namespace posthorse::storage
