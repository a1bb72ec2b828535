#include "replication/core/etcd_lineage.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::replication;

namespace {

const Lineage fourth{{4}, {40, 30, 20, 10}};

}  // namespace

TEST_CASE("lineage: the same, newer and older values of one history") {
    CHECK(descent(fourth, fourth) == Descent::same);
    const Lineage sixth{{6}, {60, 50, 40, 30, 20, 10}};
    CHECK(descent(fourth, sixth) == Descent::newer);
    CHECK(descent(sixth, fourth) == Descent::older);
}

TEST_CASE("lineage: values that parted") {
    CHECK(descent(fourth, {{4}, {41, 30, 20, 10}}) == Descent::forked);
    CHECK(descent(fourth, {{5}, {51, 41, 30, 20, 10}}) == Descent::forked);
    CHECK(descent(fourth, {{3}, {31, 20, 10}}) == Descent::forked);
}

TEST_CASE("lineage: what is too far away to tell") {
    CHECK(descent(fourth, {{9}, {90, 80, 70, 60, 50}}) == Descent::newer);
    CHECK(descent({{9}, {90, 80, 70, 60, 50}}, fourth) == Descent::too_far_back);
    CHECK(descent({{9}, {90, 80, 70, 60, 50, 40}}, fourth) == Descent::older);
}

TEST_CASE("lineage: who knows nothing takes what it finds") {
    CHECK(descent({}, fourth) == Descent::newer);
    CHECK(descent({{3}, {}}, fourth) == Descent::newer);  // of another control plane
}

TEST_CASE("lineage: marks by version, and their bound") {
    CHECK(mark_of(fourth, {4}) == 40);
    CHECK(mark_of(fourth, {1}) == 10);
    CHECK_FALSE(mark_of(fourth, {5}).has_value());
    CHECK_FALSE(mark_of(fourth, {0}).has_value());
    std::vector<std::uint64_t> marks;
    for (std::uint64_t mark = 1; mark <= marks_max + 7; ++mark) marks = with_mark(mark, marks);
    CHECK(marks.size() == marks_max);
    CHECK(marks.front() == marks_max + 7);
    CHECK(marks.back() == 8);
}
