// The conformance suite's second half: positions, copies that are brought up, outcomes that are
// remembered, partitions that are dropped. queue_store_conformance.h calls it.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "storage/queue_ops.h"
#include "tests/unit/storage/gap_conformance.h"

namespace posthorse::storage {

template <class Rig>
void check_positions() {
    Session<Rig> queue;
    SUBCASE("a fence answers where the copy stands, and leaves it there") {
        CHECK(*queue.fence(partition_a, Epoch{1}) == Position{});
        queue.commit(1);
        queue.commit(2);
        CHECK(*queue.fence(partition_a, Epoch{1}) == position(1, 2));
        CHECK(*queue.fence(partition_a, Epoch{7}) == position(1, 2));
        queue.lose_power();
        CHECK(queue.found().fence == Epoch{7});
        CHECK(queue.found().at == position(1, 2));
        CHECK(*queue.fence(partition_a, Epoch{8}) == position(1, 2));
        REQUIRE(queue.apply(Abort{sample_id(3), 0}, partition_a, Epoch{8}));
        CHECK(*queue.fence(partition_a, Epoch{8}) == position(8, 1));
    }
    SUBCASE("what a fence answers is synced, whatever the operations before it were") {
        REQUIRE(queue.write(Append{sample_id(1), 1, make_chunk("unsynced")}));
        CHECK(*queue.fence(partition_a, Epoch{2}) == position(1, 1));
        queue.lose_power();
        CHECK(queue.found().at == position(1, 1));
    }
    SUBCASE("what is outside of the order moves no position, and obeys the fence") {
        queue.commit(1);
        REQUIRE(queue.copy(Append{sample_id(2), 1, make_chunk("body")}, Epoch{4}));
        CHECK(*queue.fence(partition_a, Epoch{4}) == position(1, 1));
        const auto refused = [&](auto change) {
            CHECK(error_of(queue.copy(std::move(change), Epoch{3})) == Errc::fenced);
        };
        refused(Append{sample_id(3), 1, make_chunk("body")});
        refused(BeginCopy{});
        refused(EndCopy{});
        refused(Restore{sample_envelope(sample_id(3)), make_chunk("head")});
        refused(Forget{sample_id(1)});
        refused(Unremember{});
        CHECK(*queue.fence(partition_a, Epoch{4}) == position(1, 1));
        CHECK(ids_of(queue.list()) == std::vector{sample_id(1)});
    }
    SUBCASE("a change that is not where it belongs is refused, and changes nothing") {
        const Envelope envelope = queue.commit(1);
        const auto refused = [](const Result<void>& result) {
            CHECK(error_of(result) == Errc::invalid);
        };
        refused(queue.copy(Commit{sample_envelope(sample_id(2)), make_chunk("head")}));
        refused(queue.copy(settle(envelope, std::nullopt, {}, {})));
        refused(queue.copy(EndCopy{.at = position(2, 1), .intents = {}}));
        refused(queue.write(BeginCopy{}));
        refused(queue.write(Forget{envelope.id}));
        CHECK(*queue.fence(partition_a, Epoch{1}) == position(1, 1));
        check_holds(queue, {envelope});
    }
}

template <class Rig>
void check_amounts() {
    Session<Rig> queue;
    queue.commit(1);
    queue.commit(2);
    const Envelope gone = queue.commit(3);
    const Envelope notice = sample_envelope(sample_id(4));
    REQUIRE(queue.write(settle(gone, park(gone, at_ms(5000)), {}, {})));
    CHECK(queue.store().bytes(partition_a) == 300);
    const Envelope parked = *queue.envelope(gone.id);
    REQUIRE(queue.write(settle(parked, std::nullopt, {{notice, make_chunk("n")}}, {})));
    CHECK(queue.store().bytes(partition_a) == 300);
    REQUIRE(queue.write(settle(notice, std::nullopt, {}, {})));
    Envelope other = sample_envelope(sample_id(1, partition_b));
    other.size_bytes = 5'000'000'000;
    REQUIRE(queue.apply(Commit{other, make_chunk("b")}, partition_b, Epoch{1}));
    for (int life = 0; life < 2; ++life) {
        CHECK(queue.store().count(partition_a) == 2);
        CHECK(queue.store().count(partition_b) == 1);
        CHECK(queue.store().count(PartitionId{77}) == 0);
        CHECK(queue.store().bytes(partition_a) == 200);
        CHECK(queue.store().bytes(partition_b) == 5'000'000'000);
        CHECK(queue.store().bytes(PartitionId{77}) == 0);
        CHECK(queue.store().stats().bytes == 5'000'000'200);
        CHECK(queue.store().stats().messages == 3);
        if (life == 0) queue.reopen();
    }
    CHECK(queue.found(partition_b).messages == 1);
}

template <class Rig>
void check_copying() {
    Session<Rig> queue;
    const Envelope first = queue.commit(1);
    SUBCASE("between BeginCopy and EndCopy a copy stays where it stood, whatever it is told") {
        REQUIRE(queue.copy(BeginCopy{}));
        queue.commit(2);
        CHECK(*queue.fence(partition_a, Epoch{1}) == position(1, 1));
        queue.lose_power();
        CHECK(queue.found().copying);
        CHECK(queue.found().at == position(1, 1));
        CHECK(ids_of(queue.list()).size() == 2);
        REQUIRE(queue.copy(BeginCopy{}));
        CHECK(*queue.fence(partition_a, Epoch{3}) == position(1, 1));
        REQUIRE(queue.copy(EndCopy{.at = position(3, 9), .intents = {}}, Epoch{3}));
        CHECK(*queue.fence(partition_a, Epoch{3}) == position(3, 9));
        queue.lose_power();
        CHECK_FALSE(queue.found().copying);
        CHECK(queue.found().at == position(3, 9));
    }
    SUBCASE("a copy ends where operations have brought it, when that is further") {
        REQUIRE(queue.copy(BeginCopy{}));
        queue.commit(2);
        queue.commit(3);
        REQUIRE(queue.copy(EndCopy{.at = position(1, 1), .intents = {}}));
        CHECK(*queue.fence(partition_a, Epoch{1}) == position(1, 3));
    }
    SUBCASE("an operation that comes twice is applied once, while copying too") {
        REQUIRE(queue.copy(BeginCopy{}));
        const Operation removal = queue.stamped(settle(first, std::nullopt, {}, {}));
        REQUIRE(queue.apply(removal));
        restore(queue, first);
        REQUIRE(queue.apply(removal));
        CHECK(ids_of(queue.list()) == std::vector{first.id});
    }
    SUBCASE("EndCopy is durable with all before it, and its intents are the partition's") {
        const Envelope second = sample_envelope(sample_id(2), at_ms(1000), 1);
        const Envelope other = sample_envelope(sample_id(1, partition_b));
        REQUIRE(queue.apply(Commit{other, make_chunk("b")}, partition_b, Epoch{1}));
        const Intent old{first.id, 1, {0}, "mx", at_ms(1), sample_node(1)};
        const Intent foreign{other.id, 1, {0}, "mx", at_ms(1), sample_node(1)};
        const Intent open{second.id, 5, {0, 1}, "mx", at_ms(2), sample_node(2)};
        REQUIRE(queue.write(Intend{old}));
        REQUIRE(queue.apply(Intend{foreign}, partition_b, Epoch{1}));
        REQUIRE(queue.copy(BeginCopy{}));
        REQUIRE(queue.copy(Append{second.id, 1, make_chunk("body")}));
        restore(queue, second, "head 2");
        REQUIRE(queue.copy(EndCopy{.at = position(1, 8), .intents = {open}}));
        queue.lose_power();
        CHECK(*queue.intents() == std::vector{open});
        CHECK(*queue.intents(partition_b) == std::vector{foreign});
        CHECK(*queue.chunk(second.id, 0) == "head 2");
        CHECK(*queue.chunk(second.id, 1) == "body");
        check_holds(queue, {first, second});
    }
    SUBCASE("below the floor no copy grows, and one that is whole can be ended") {
        REQUIRE(queue.copy(BeginCopy{}));
        queue.rig.set_free_bytes(test_floor_bytes - 1);
        CHECK(error_of(queue.copy(Append{sample_id(2), 1, make_chunk("x")})) == Errc::full);
        CHECK(error_of(queue.copy(Restore{sample_envelope(sample_id(2)), make_chunk("x")})) ==
              Errc::full);
        CHECK(queue.copy(Forget{first.id}));
        CHECK(queue.copy(EndCopy{.at = position(1, 1), .intents = {}}));
        queue.rig.set_free_bytes(test_free_bytes);
        check_holds(queue, {});
    }
}

template <class Rig>
void check_restoring() {
    Session<Rig> queue;
    const Envelope first = queue.commit_free(1);
    SUBCASE("a message that is new is free and counted, however often it comes") {
        const Envelope second = sample_envelope(sample_id(2), at_ms(700));
        restore(queue, second);
        restore(queue, second);
        CHECK(queue.next_due() == at_ms(700));
        CHECK(ids_of(queue.claim(at_ms(700))) == std::vector{second.id});
        CHECK(*queue.chunk(second.id, 0) == "restored");
        check_holds(queue, {first, second});
    }
    SUBCASE("a body alone leaves the record as it is") {
        const Envelope newer = later(first, 5, at_ms(9000));
        REQUIRE(queue.write(settle(first, newer, {}, {})));
        REQUIRE(queue.copy(Restore{first, make_chunk("another head"), true}));
        CHECK(*queue.chunk(first.id, 0) == "another head");
        CHECK(queue.next_due() == at_ms(9000));
        check_holds(queue, {newer});
    }
    SUBCASE("a record is replaced, however new it was: its owner may have gone astray") {
        const Envelope astray = later(first, 5, at_ms(9000));
        REQUIRE(queue.write(settle(first, astray, {}, {})));
        const Envelope right = later(first, 4, at_ms(10));
        restore(queue, right);
        CHECK(queue.next_due() == at_ms(10));
        check_holds(queue, {right});
    }
    SUBCASE("an older record is replaced, with its due time and the claims that know it") {
        REQUIRE(queue.claim_one(first.id));
        const Envelope newer = later(first, 5, at_ms(9000));
        restore(queue, newer);
        CHECK(queue.next_due() == at_ms(9000));
        CHECK(*queue.claim_one(first.id) == newer);
        check_holds(queue, {newer});
    }
    SUBCASE("a record that was set aside is mended, and counted as such no more") {
        queue.rig.stop();
        queue.rig.damage_envelope(first.id);
        REQUIRE(queue.rig.open());
        CHECK(error_of(queue.envelope(first.id)) == Errc::corrupt);
        queue.rig.loop.run_until([&] { return !queue.rig.reports.empty(); });
        REQUIRE(queue.store().stats().set_aside == 1);
        restore(queue, first);
        CHECK(queue.store().stats().set_aside == 0);
        check_holds(queue, {first});
        CHECK(queue.store().stats().set_aside == 0);
    }
    SUBCASE("a damaged record that nobody has met is overwritten") {
        queue.rig.stop();
        queue.rig.damage_envelope(first.id);
        REQUIRE(queue.rig.open());
        restore(queue, first);
        check_holds(queue, {first});
        CHECK(queue.store().stats().set_aside == 0);
    }
    SUBCASE("a restored body is not taken for one that never became a message") {
        const Envelope second = sample_envelope(sample_id(2), at_ms(700), 2);
        for (const std::uint32_t index : {1u, 2u})
            REQUIRE(queue.copy(Append{second.id, index, make_chunk("body")}));
        restore(queue, second);
        queue.reopen();
        for (const std::uint32_t index : {1u, 2u}) CHECK(*queue.chunk(second.id, index) == "body");
    }
}

template <class Rig>
void check_forgetting() {
    Session<Rig> queue;
    const Envelope kept = queue.commit_free(1);
    SUBCASE("a forgotten message goes with its body, its intents and its claim") {
        const Envelope gone = sample_envelope(sample_id(2), at_ms(700), 2);
        for (const std::uint32_t index : {1u, 2u})
            REQUIRE(queue.write(Append{gone.id, index, make_chunk("body")}));
        REQUIRE(queue.write(Commit{gone, make_chunk("head")}));
        const Intent of_gone{gone.id, 1, {0}, "mx", at_ms(1), {}};
        const Intent of_kept{kept.id, 1, {0}, "mx", at_ms(1), {}};
        REQUIRE(queue.write(Intend{of_gone}));
        REQUIRE(queue.write(Intend{of_kept}));
        REQUIRE(queue.copy(Forget{gone.id}));
        REQUIRE(queue.copy(Forget{gone.id}));
        for (const std::uint32_t index : {0u, 1u, 2u})
            CHECK(error_of(queue.chunk(gone.id, index)) == Errc::not_found);
        CHECK(error_of(queue.claim_one(gone.id)) == Errc::not_found);
        CHECK(queue.next_due() == kept.due_at);
        check_holds(queue, {kept});
        // Were its intent still there, a message of the same name would have it again.
        restore(queue, gone);
        CHECK(*queue.intents() == std::vector{of_kept});
    }
    SUBCASE("a body that became no message goes, too") {
        REQUIRE(queue.copy(Append{sample_id(2), 1, make_chunk("one")}));
        REQUIRE(queue.copy(Append{sample_id(2), 2, make_chunk("two")}));
        REQUIRE(queue.copy(Forget{sample_id(2)}));
        CHECK(error_of(queue.chunk(sample_id(2), 1)) == Errc::not_found);
        CHECK(error_of(queue.chunk(sample_id(2), 2)) == Errc::not_found);
        check_holds(queue, {kept});
    }
    SUBCASE("a record that was set aside goes, and its body") {
        queue.rig.stop();
        queue.rig.damage_envelope(kept.id);
        REQUIRE(queue.rig.open());
        CHECK(ids_of(queue.claim(at_ms(9000))).empty());
        queue.rig.loop.run_until([&] { return !queue.rig.reports.empty(); });
        REQUIRE(queue.copy(Forget{kept.id}));
        CHECK(queue.store().stats().set_aside == 0);
        CHECK(error_of(queue.chunk(kept.id, 0)) == Errc::not_found);
        check_holds(queue, {});
    }
}

// While a copy is not whole, an operation may be about a message of which it holds an older state,
// or none.
template <class Rig>
void check_operations_of_copies() {
    Session<Rig> queue;
    const Envelope first = queue.commit_free(1, at_ms(1000));
    const Envelope newer = later(first, 7, at_ms(6000));
    REQUIRE(queue.copy(BeginCopy{}));
    SUBCASE("a change of an older state leaves one due time") {
        const Envelope newest = park(newer, at_ms(9000));
        REQUIRE(queue.write(settle(newer, newest, {}, {})));
        CHECK(queue.next_due() == at_ms(9000));
        check_holds(queue, {newest});
    }
    SUBCASE("a removal of an older state leaves nothing") {
        REQUIRE(queue.write(settle(newer, std::nullopt, {}, {})));
        CHECK(queue.next_due() == never);
        check_holds(queue, {});
    }
    SUBCASE("a removal of what is not there is none") {
        const Envelope unknown = sample_envelope(sample_id(2));
        REQUIRE(queue.write(settle(unknown, std::nullopt, {}, {})));
        check_holds(queue, {first});
    }
    SUBCASE("a removal takes a body along that came before its record") {
        const Envelope unknown = sample_envelope(sample_id(2), at_ms(1000), 1);
        REQUIRE(queue.copy(Append{unknown.id, 1, make_chunk("body")}));
        REQUIRE(queue.write(settle(unknown, std::nullopt, {}, {})));
        CHECK(error_of(queue.chunk(unknown.id, 1)) == Errc::not_found);
        check_holds(queue, {first});
    }
    SUBCASE("a change of what is not there leaves no record without a body") {
        const Envelope unknown = later(sample_envelope(sample_id(2), at_ms(9), 1), 3, at_ms(2000));
        const Envelope after = park(unknown, at_ms(3000));
        const Envelope notice = sample_envelope(sample_id(3), at_ms(50));
        REQUIRE(queue.copy(Append{unknown.id, 1, make_chunk("body")}));
        REQUIRE(queue.write(settle(unknown, after, {{notice, make_chunk("bounce")}}, {})));
        CHECK(error_of(queue.envelope(unknown.id)) == Errc::not_found);
        restore(queue, after, "head 2");
        CHECK(*queue.chunk(unknown.id, 0) == "head 2");
        CHECK(*queue.chunk(unknown.id, 1) == "body");
        check_holds(queue, {first, after, notice});
    }
    SUBCASE("a message that is committed again, and a notice that is there, count once") {
        const Envelope notice = sample_envelope(sample_id(2), at_ms(50));
        restore(queue, later(notice, 4, at_ms(60)));
        const Envelope again = later(first, 1, at_ms(70));
        REQUIRE(queue.write(Commit{again, make_chunk("again")}));
        REQUIRE(queue.write(settle(newer, std::nullopt, {{notice, make_chunk("bounce")}}, {})));
        check_holds(queue, {notice});
    }
    SUBCASE("an operation right behind what it depends on sees it") {
        std::size_t completed = 0;
        const auto done = [&](const Result<void>& result) {
            CHECK(result);
            completed += 1;
        };
        const Envelope newest = park(newer, at_ms(9000));
        const Stamp outside{partition_a, Epoch{1}, Sequence{0}};
        queue.store().apply({outside, Restore{newer, make_chunk("head")}}, done);
        queue.store().apply(queue.stamped(settle(newer, newest, {}, {})), done);
        queue.store().apply(queue.stamped(settle(newest, std::nullopt, {}, {})), done);
        queue.store().apply({outside, Restore{newest, make_chunk("head")}}, done);
        queue.rig.loop.run_until([&] { return completed == 4; });
        check_holds(queue, {newest});
    }
}

template <class Rig>
void check_bringing_up() {
    Session<Rig> queue;
    std::uint32_t completed = 0;
    const auto tell = [&](auto change) {
        queue.store().apply(
            {.stamp = {partition_a, Epoch{1}, Sequence{0}}, .change = std::move(change)},
            [&](const Result<void>& result) {
                REQUIRE(result);
                completed += 1;
            });
    };
    SUBCASE("a copy of a thousand messages comes up with two syncs, and whole") {
        constexpr std::uint32_t count = 1000;
        const std::uint64_t before = queue.store().stats().syncs;
        tell(BeginCopy{});
        std::vector<Envelope> messages;
        for (std::uint32_t counter = 0; counter < count; ++counter) {
            messages.push_back(sample_envelope(sample_id(counter), at_ms(counter), 1));
            tell(Append{messages.back().id, 1, make_chunk("body")});
            tell(Restore{messages.back(), make_chunk("head")});
        }
        tell(EndCopy{.at = position(1, 5), .intents = {}});
        queue.rig.loop.run_until([&] { return completed == 2 * count + 2; });
        CHECK(queue.store().stats().syncs - before == 2);
        queue.lose_power();
        CHECK(queue.found().at == position(1, 5));
        CHECK(*queue.chunk(sample_id(count - 1), 1) == "body");
        check_holds(queue, messages);
    }
    SUBCASE("what is told in one breath is done in order") {
        const Envelope kept = queue.commit_free(1);
        const auto head = [](const char* text) { return make_chunk(text); };
        const Envelope twice = sample_envelope(sample_id(2), at_ms(700), 1);
        const Envelope newer = later(twice, 2, at_ms(800));
        tell(Append{twice.id, 1, make_chunk("one")});
        tell(Restore{twice, head("1")});
        tell(Restore{newer, head("2")});
        tell(Forget{kept.id});
        tell(Restore{kept, head("again")});
        tell(Append{sample_id(3), 1, make_chunk("three")});
        tell(Forget{sample_id(3)});
        queue.rig.loop.run_until([&] { return completed == 7; });
        CHECK(*queue.chunk(twice.id, 0) == "2");
        CHECK(*queue.chunk(twice.id, 1) == "one");
        CHECK(*queue.chunk(kept.id, 0) == "again");
        CHECK(error_of(queue.chunk(sample_id(3), 1)) == Errc::not_found);
        check_holds(queue, {kept, newer});
    }
}

template <class Rig>
void check_outcomes() {
    Session<Rig> queue;
    const Envelope first = queue.commit(1);
    const std::vector<RecipientOutcome> outcomes{
        {.recipient = 0, .kind = OutcomeKind::delivered, .status = {}},
        {.recipient = 1,
         .kind = OutcomeKind::failed,
         .status = {.reply = {.code = 550, .enhanced = {5, 1, 1}, .text = "no\xFF"},
                    .remote = "mx.example.net[192.0.2.1]:25",
                    .tls = {},
                    .at = at_ms(2000)}}};
    Settle removal = settle(first, std::nullopt, {}, {7});
    removal.remember = {{first.id, 7, outcomes}, {first.id, 8, {}}};
    REQUIRE(queue.write(removal));
    SUBCASE("an outcome is kept with its settlement, until nobody will ask for it") {
        queue.lose_power();
        CHECK(*queue.outcome(first.id, 7) == outcomes);
        CHECK(queue.outcome(first.id, 8)->empty());
        REQUIRE(queue.copy(Unremember{{{first.id, 7}, {sample_id(9), 1}}}));
        CHECK(error_of(queue.outcome(first.id, 7)) == Errc::not_found);
        CHECK(queue.outcome(first.id, 8)->empty());
        queue.reopen();
        CHECK(error_of(queue.outcome(first.id, 7)) == Errc::not_found);
        CHECK(queue.outcome(first.id, 8)->empty());
    }
    SUBCASE("an attempt that was not remembered is not known") {
        CHECK(error_of(queue.outcome(first.id, 1)) == Errc::not_found);
        CHECK(error_of(queue.outcome(sample_id(2), 7)) == Errc::not_found);
    }
}

// One of everything in partition_a, and a message in partition_b.
template <class Rig>
Envelope fill_partitions(Session<Rig>& queue) {
    const Envelope damaged = queue.commit(1);
    const Envelope whole = sample_envelope(sample_id(2), at_ms(1000), 1);
    REQUIRE(queue.write(Append{whole.id, 1, make_chunk("body")}));
    REQUIRE(queue.write(Commit{whole, make_chunk("head")}));
    REQUIRE(queue.write(Intend{{whole.id, 1, {0}, "mx", at_ms(1), {}}}));
    Settle change = settle(whole, park(whole, at_ms(2000)), {}, {});
    change.remember = {{whole.id, 3, {}}};
    REQUIRE(queue.write(change));
    const Envelope other = sample_envelope(sample_id(1, partition_b));
    REQUIRE(queue.apply(Commit{other, make_chunk("b")}, partition_b, Epoch{1}));
    queue.rig.stop();
    queue.rig.damage_envelope(damaged.id);
    REQUIRE(queue.rig.open());
    CHECK(error_of(queue.envelope(damaged.id)) == Errc::corrupt);
    queue.rig.loop.run_until([&] { return !queue.rig.reports.empty(); });
    REQUIRE(queue.write(Append{sample_id(3), 1, make_chunk("arriving")}));
    REQUIRE(queue.fence(partition_a, Epoch{9}));
    REQUIRE(queue.claim_one(whole.id, Epoch{9}));
    return other;
}

template <class Rig>
void check_gone(Session<Rig>& queue, const Envelope& other) {
    CHECK(ids_of(queue.list()).empty());
    CHECK(queue.intents()->empty());
    CHECK(queue.next_due() == never);
    CHECK(error_of(queue.outcome(sample_id(2), 3)) == Errc::not_found);
    for (const std::uint32_t counter : {1u, 2u, 3u})
        for (const std::uint32_t index : {0u, 1u})
            CHECK(error_of(queue.chunk(sample_id(counter), index)) == Errc::not_found);
    CHECK(queue.store().count(partition_a) == 0);
    CHECK(queue.store().stats().messages == 1);
    CHECK(queue.store().stats().set_aside == 0);
    CHECK(ids_of(queue.list({}, 9, partition_b)) == std::vector{other.id});
    CHECK(*queue.chunk(other.id, 0) == "b");
}

template <class Rig>
void check_dropping() {
    Session<Rig> queue;
    const Envelope other = fill_partitions(queue);
    SUBCASE("all of the partition goes, its fence too, and nothing of any other") {
        REQUIRE(queue.drop(partition_a));
        check_gone(queue, other);
        queue.lose_power();
        check_gone(queue, other);
        REQUIRE(queue.store().partitions().size() == 1);
        CHECK(queue.store().partitions()[0].id == partition_b);
        REQUIRE(queue.drop(partition_a));
        check_gone(queue, other);
        CHECK(*queue.fence(partition_a, Epoch{1}) == Position{});
        const Envelope anew = sample_envelope(sample_id(2));
        REQUIRE(queue.apply(Commit{anew, make_chunk("anew")}, partition_a, Epoch{1}));
        queue.store().release(anew.id);
        check_holds(queue, {anew});
    }
    SUBCASE("a claim does not outlive its partition") {
        REQUIRE(queue.drop(partition_a));
        const Envelope anew = sample_envelope(sample_id(2));
        restore(queue, anew);
        CHECK(*queue.claim_one(anew.id) == anew);
    }
    SUBCASE("when the power fails under it, it can be done again") {
        for (std::uint64_t random = 0; random < 6; ++random) {
            queue.store().drop(partition_a, [](const Result<void>&) {});
            for (std::uint64_t step = 0; step < random; ++step) queue.rig.loop.run_one();
            queue.lose_power(random);
        }
        REQUIRE(queue.drop(partition_a));
        check_gone(queue, other);
        queue.lose_power();
        check_gone(queue, other);
    }
}

template <class Rig>
void check_copies() {
    SUBCASE("positions") {
        check_positions<Rig>();
    }
    SUBCASE("messages and their octets are counted for each partition") {
        check_amounts<Rig>();
    }
    SUBCASE("copying") {
        check_copying<Rig>();
    }
    SUBCASE("gaps") {
        check_gaps_in_the_order<Rig>();
        check_gaps_of_listings<Rig>();
    }
    SUBCASE("restoring") {
        check_restoring<Rig>();
    }
    SUBCASE("forgetting") {
        check_forgetting<Rig>();
    }
    SUBCASE("operations of copies") {
        check_operations_of_copies<Rig>();
    }
    SUBCASE("bringing up") {
        check_bringing_up<Rig>();
    }
    SUBCASE("outcomes") {
        check_outcomes<Rig>();
    }
    SUBCASE("dropping") {
        check_dropping<Rig>();
    }
}

}  // namespace posthorse::storage
