#include "storage/claim_table.h"

#include <doctest/doctest.h>

#include "tests/unit/storage/print_result.h"
#include "tests/unit/storage/samples.h"

using namespace posthorse;
using namespace posthorse::storage;

namespace {

const Envelope first = sample_envelope(sample_id(1), at_ms(100));

Envelope next_version(Envelope envelope, WallTime due) {
    envelope.version += 1;
    envelope.due_at = due;
    return envelope;
}

}  // namespace

TEST_CASE("a scan begins where the last one ended, or at what became free below") {
    ClaimTable claims;
    CHECK(claims.begin_scan(partition_a) == DuePosition{});
    claims.end_scan(partition_a, {at_ms(500), {}});
    CHECK(claims.begin_scan(partition_a) == DuePosition{at_ms(500), {}});
    claims.born(first, Epoch{1});
    CHECK(claims.begin_scan(partition_a) == DuePosition{at_ms(500), {}});
    claims.release(first.id);
    CHECK(claims.begin_scan(partition_a) == DuePosition{at_ms(100), first.id});
}

TEST_CASE("what becomes free during a scan is not passed over") {
    ClaimTable claims;
    claims.born(first, Epoch{1});
    claims.begin_scan(partition_a);
    claims.release(first.id);
    claims.end_scan(partition_a, {at_ms(500), {}});
    CHECK(claims.begin_scan(partition_a) == DuePosition{at_ms(100), first.id});
}

TEST_CASE("a change that becomes visible while a reader claims ends the claim") {
    ClaimTable claims;
    REQUIRE(claims.try_claim(first.id, Epoch{1}, first.due_at));
    claims.changed(next_version(first, at_ms(900)));
    CHECK_FALSE(claims.confirm(first));
    CHECK(claims.is_free(first.id));
}

TEST_CASE("a reader that saw the change already keeps its claim") {
    ClaimTable claims;
    const Envelope changed = next_version(first, at_ms(900));
    REQUIRE(claims.try_claim(first.id, Epoch{1}, at_ms(900)));
    REQUIRE(claims.confirm(changed));
    claims.changed(changed);
    CHECK_FALSE(claims.is_free(first.id));
    claims.changed(next_version(changed, at_ms(950)));
    CHECK(claims.is_free(first.id));
}

TEST_CASE("a removed message is not claimed any more") {
    ClaimTable claims;
    REQUIRE(claims.try_claim(first.id, Epoch{1}, first.due_at));
    claims.gone(first.id);
    CHECK_FALSE(claims.confirm(first));
    CHECK(claims.size() == 0);
}

TEST_CASE("a fence voids lower claims, refuses new ones, and never goes back") {
    ClaimTable claims;
    claims.born(first, Epoch{1});
    const Envelope other = sample_envelope(sample_id(1, partition_b));
    claims.born(other, Epoch{1});
    claims.end_scan(partition_a, {at_ms(500), {}});
    claims.fence(partition_a, Epoch{3});
    claims.fence(partition_a, Epoch{2});
    CHECK(claims.fence_of(partition_a) == Epoch{3});
    CHECK(claims.is_free(first.id));
    CHECK_FALSE(claims.is_free(other.id));
    CHECK(claims.begin_scan(partition_a) == DuePosition{at_ms(100), first.id});
    CHECK_FALSE(claims.try_claim(first.id, Epoch{2}, first.due_at));
    CHECK(claims.try_claim(first.id, Epoch{3}, first.due_at));
}

TEST_CASE("an owner whose epoch moves on keeps its claims") {
    ClaimTable claims;
    claims.born(first, Epoch{1});
    claims.raise(partition_a, Epoch{2});
    CHECK(claims.fence_of(partition_a) == Epoch{2});
    CHECK_FALSE(claims.is_free(first.id));
    claims.fence(partition_a, Epoch{3});
    CHECK(claims.is_free(first.id));
}

TEST_CASE("a message that is changed under its claimer stays claimed, and is freed where it is") {
    ClaimTable claims;
    claims.born(first, Epoch{1});
    claims.end_scan(partition_a, {at_ms(500), {}});
    claims.changed_under_claim(next_version(first, at_ms(50)));
    CHECK_FALSE(claims.is_free(first.id));
    claims.release(first.id);
    CHECK(claims.begin_scan(partition_a) == DuePosition{at_ms(50), first.id});
    claims.end_scan(partition_a, {at_ms(500), {}});
    claims.changed_under_claim(next_version(first, at_ms(20)));
    CHECK(claims.begin_scan(partition_a) == DuePosition{at_ms(20), first.id});
}

TEST_CASE("a partition that is dropped leaves no claim and no fence") {
    ClaimTable claims;
    const Envelope other = sample_envelope(sample_id(1, partition_b));
    claims.fence(partition_a, Epoch{3});
    claims.born(first, Epoch{3});
    claims.born(other, Epoch{1});
    claims.end_scan(partition_a, {at_ms(500), {}});
    claims.drop(partition_a);
    CHECK(claims.size() == 1);
    CHECK_FALSE(claims.is_free(other.id));
    CHECK(claims.fence_of(partition_a) == Epoch{});
    CHECK(claims.begin_scan(partition_a) == DuePosition{});
}
