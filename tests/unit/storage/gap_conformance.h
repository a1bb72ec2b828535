// The conformance suite: what a copy refuses, and what comes behind that (Operation::unbroken).
#pragma once

#include "tests/unit/storage/copy_checks.h"

namespace posthorse::storage {

// A copy that was refused a message, and what came behind it.
template <class Rig>
struct Refusing : Session<Rig> {
    Refusing() {
        this->rig.set_free_bytes(test_floor_bytes - 1);
        REQUIRE(error_of(this->apply(large)) == Errc::full);
        REQUIRE(error_of(this->apply(behind)) == Errc::invalid);
        REQUIRE(error_of(this->apply(behind)) == Errc::invalid);
        this->rig.set_free_bytes(test_free_bytes);
    }
    template <class Change>
    Operation unbroken(Change change) {
        Operation operation = this->stamped(std::move(change));
        operation.unbroken = true;
        return operation;
    }
    // What a listing brings.
    template <class Change>
    Result<void> bring(Change change) {
        return this->apply({{partition_a, Epoch{1}, Sequence{0}}, std::move(change), true});
    }
    CopyState state() { return *this->stand(partition_a, Epoch{1}); }

    const Envelope first = this->commit_free(1);
    const Operation large = unbroken(Commit{sample_envelope(sample_id(2)), make_chunk("head 2")});
    const Operation behind = unbroken(settle(first, park(first, at_ms(4000)), {}, {}));
};

template <class Rig>
void check_gaps_in_the_order() {
    Refusing<Rig> queue;
    SUBCASE("behind what was refused nothing is taken, and the copy is whole up to there") {
        CHECK(error_of(queue.apply(queue.behind)) == Errc::invalid);
        CHECK(queue.state() == CopyState{position(1, 1), true});
        check_holds(queue, {queue.first});
        queue.lose_power();
        CHECK(queue.state() == CopyState{position(1, 1), true});
    }
    SUBCASE("when it comes again, what is behind it is taken, too") {
        CHECK(queue.apply(queue.large));
        CHECK(queue.apply(queue.behind));
        CHECK(queue.state() == CopyState{position(1, 3), true});
        CHECK(queue.list()->size() == 2);
    }
    SUBCASE("when it is refused again, nothing is") {
        queue.rig.set_free_bytes(test_floor_bytes - 1);
        CHECK(error_of(queue.apply(queue.large)) == Errc::full);
        CHECK(error_of(queue.apply(queue.behind)) == Errc::invalid);
    }
    SUBCASE("a later epoch has no gap of an earlier one") {
        Operation next = queue.behind;
        next.stamp.epoch = Epoch{2};
        CHECK(queue.apply(next));
    }
    SUBCASE("other partitions go on, and owners") {
        CHECK(queue.apply(Commit{sample_envelope(sample_id(1, partition_b)), make_chunk("b")},
                          partition_b, Epoch{1}));
        Operation own = queue.behind;
        own.unbroken = false;
        CHECK(queue.apply(own));
    }
}

template <class Rig>
void check_gaps_of_listings() {
    Refusing<Rig> queue;
    REQUIRE(queue.bring(BeginCopy{}));
    SUBCASE("a copy that begins anew has none") {
        CHECK(queue.apply(queue.behind));
        REQUIRE(queue.bring(EndCopy{.at = position(1, 2), .intents = {}}));
        CHECK(queue.state() == CopyState{position(1, 3), true});
    }
    SUBCASE("a copy that refuses something while it is brought up is not whole at its end") {
        queue.rig.set_free_bytes(test_floor_bytes - 1);
        REQUIRE(error_of(queue.apply(queue.large)) == Errc::full);
        CHECK(error_of(queue.bring(EndCopy{.at = position(1, 1), .intents = {}})) == Errc::invalid);
        CHECK(queue.state() == CopyState{position(1, 1), false});
    }
    SUBCASE("a record whose body had no room does not come without it") {
        Envelope third = sample_envelope(sample_id(3));
        third.chunk_count = 1;
        queue.rig.set_free_bytes(test_floor_bytes + 1000);
        CHECK(error_of(queue.bring(Append{third.id, 1, make_chunk(std::string(1001, 'x'))})) ==
              Errc::full);
        CHECK(error_of(queue.bring(Restore{third, make_chunk("head")})) == Errc::invalid);
        queue.rig.set_free_bytes(test_free_bytes);
        CHECK(error_of(queue.apply(queue.large)) == Errc::invalid);  // for the next beginning
        check_holds(queue, {queue.first});
    }
}

}  // namespace posthorse::storage
