#include "storage/queue_key.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "tests/unit/storage/samples.h"

using namespace posthorse;
using namespace posthorse::storage;

TEST_CASE("keys give back what they were made of") {
    const QueueId id = sample_id(5, partition_b);
    CHECK(envelope_id(envelope_key(id)) == id);
    CHECK(body_id(body_key(id, 9)) == id);
    CHECK(arriving_id(arriving_key(id)) == id);
    CHECK(intent_of(intent_key(id, 3))->id == id);
    CHECK(intent_of(intent_key(id, 3))->attempt == 3);
    const DuePosition position{at_ms(1234), id};
    CHECK(due_position(due_key(partition_b, position)) == position);
    CHECK(partition_of(envelope_key(id)) == partition_b);
    CHECK(meta_kind_of(mark_key(partition_a)) == MetaKind::mark);
    CHECK(meta_kind_of(outcome_key(id, 3)) == MetaKind::outcome);
    CHECK(outcome_key(id, 3) != outcome_key(id, 4));
    CHECK(meta_kind_of(set_aside_key(partition_a, 'e', "key")) == MetaKind::set_aside);
}

TEST_CASE("a key of another kind is not taken for one") {
    const QueueId id = sample_id(5);
    CHECK_FALSE(envelope_id(body_key(id, 0)));
    CHECK_FALSE(body_id(envelope_key(id)));
    CHECK_FALSE(due_position(envelope_key(id)));
    CHECK_FALSE(intent_of(arriving_key(id)));
    CHECK_FALSE(arriving_id(intent_key(id, 1)));
    CHECK_FALSE(partition_of("abc"));
    CHECK_FALSE(meta_kind_of("abcd"));
}

TEST_CASE("byte order of due keys is due order") {
    std::vector<DuePosition> ordered;
    for (const std::int64_t due : {0ll, 1ll, 255ll, 256ll, 1'800'000'000'000ll})
        for (const std::uint32_t counter : {0u, 1u, 0xFFFFFFu})
            ordered.push_back({at_ms(due), sample_id(counter)});
    ordered.push_back({never, sample_id(0)});
    std::vector<std::string> keys;
    for (const DuePosition& position : ordered) keys.push_back(due_key(partition_a, position));
    CHECK(std::ranges::is_sorted(keys));
    CHECK(due_key(partition_a, ordered.back()) < due_key(partition_b, ordered.front()));
    CHECK(due_key(partition_a, {at_ms(-7), {}}) == due_key(partition_a, {at_ms(0), {}}));
}

TEST_CASE("a due range holds what is due by its end, and no more") {
    const auto holds = [](const KeyRange& range, const std::string& key) {
        return key >= range.from && key < range.to;
    };
    const KeyRange range = due_range(partition_a, {at_ms(10), sample_id(2)}, at_ms(20));
    CHECK(holds(range, due_key(partition_a, {at_ms(10), sample_id(2)})));
    CHECK(holds(range, due_key(partition_a, {at_ms(20), sample_id(0xFFFFFF)})));
    CHECK_FALSE(holds(range, due_key(partition_a, {at_ms(10), sample_id(1)})));
    CHECK_FALSE(holds(range, due_key(partition_a, {at_ms(21), QueueId{}})));
    CHECK_FALSE(holds(range, due_key(partition_b, {at_ms(15), sample_id(2)})));
}

TEST_CASE("a prefix range ends before the next prefix") {
    CHECK(range_of("ab").to == "ac");
    CHECK(range_of("a\xFF").to == "b");
    CHECK(range_of("\xFF\xFF").to.empty());
    for (const auto& [key, range] :
         {std::pair{body_key(sample_id(1), 7), body_range(sample_id(1))},
          {intent_key(sample_id(1), 7), intent_range(sample_id(1))},
          {intent_key(sample_id(1), 7), intent_range(partition_a)},
          {set_aside_key(partition_a, 'e', "key"), set_aside_range(partition_a)},
          {outcome_key(sample_id(1), 7), partition_range(partition_a)}}) {
        CHECK(key >= range.from);
        CHECK(key < range.to);
    }
    CHECK(body_key(sample_id(2), 0) >= body_range(sample_id(1)).to);
    CHECK(intent_key(sample_id(2), 0) >= intent_range(sample_id(1)).to);
    CHECK(mark_key(partition_b) >= partition_range(partition_a).to);
    const KeyRange all = envelopes_after(partition_a, {});
    CHECK(envelope_key(sample_id(0)) > all.from);
    const KeyRange rest = envelopes_after(partition_a, sample_id(1));
    CHECK(envelope_key(sample_id(1)) < rest.from);
    CHECK(envelope_key(sample_id(2)) > rest.from);
}
