#include "storage/partition_book.h"

#include <doctest/doctest.h>

#include "tests/unit/storage/print_result.h"
#include "tests/unit/storage/samples.h"

using namespace posthorse;
using namespace posthorse::storage;

namespace {

using Ruling = PartitionBook::Ruling;

template <class Change>
Operation operation(std::uint64_t epoch, std::uint64_t sequence, Change change) {
    return {{partition_a, Epoch{epoch}, Sequence{sequence}}, std::move(change)};
}

Operation intent(std::uint64_t epoch, std::uint64_t sequence, bool unbroken = false) {
    auto made = operation(epoch, sequence, Intend{});
    made.unbroken = unbroken;
    return made;
}

Operation restore(std::uint64_t epoch) {
    auto made = operation(epoch, 0, Restore{});
    made.unbroken = true;
    return made;
}

std::optional<Errc> refusal(const PartitionBook& book, const Operation& one) {
    const auto ruling = book.judge(one);
    return ruling ? std::nullopt : std::optional(ruling.error().code);
}

CopyState state(PartitionBook& book, std::uint64_t epoch) {
    const auto state = book.fence(partition_a, Epoch{epoch});
    REQUIRE(state.has_value());
    return *state;
}

CopyState at(std::uint64_t epoch, std::uint64_t sequence, bool whole = true) {
    return {.at = {Epoch{epoch}, Sequence{sequence}}, .whole = whole};
}

}  // namespace

TEST_CASE("a partition book: nothing of an epoch that is over, ever") {
    PartitionBook book;
    CHECK(book.take(intent(2, 1)));  // raises the fence
    CHECK_FALSE(book.take(intent(2, 2)));
    CHECK(refusal(book, intent(1, 3)) == Errc::fenced);
    CHECK(state(book, 4) == at(2, 2));
    CHECK(refusal(book, intent(3, 9)) == Errc::fenced);
    CHECK_FALSE(book.fence(partition_a, Epoch{3}).has_value());
    CHECK_FALSE(refusal(book, intent(4, 1)).has_value());
}

TEST_CASE("a partition book: nothing twice, nothing without its place") {
    PartitionBook book;
    book.take(intent(1, 5));
    CHECK(book.judge(intent(1, 5)).value() == Ruling::applied_before);
    CHECK(book.judge(intent(1, 6)).value() == Ruling::may_be_taken);
    CHECK(book.judge(intent(2, 1)).value() == Ruling::may_be_taken);
    CHECK(refusal(book, intent(1, 0)) == Errc::invalid);
    CHECK(refusal(book, operation(1, 6, BeginCopy{})) == Errc::invalid);
}

TEST_CASE("a partition book: a copy stands where it stood until it is whole") {
    PartitionBook book;
    book.take(intent(1, 5));
    book.take(operation(2, 0, BeginCopy{}));
    CHECK(book.copying(partition_a));
    book.take(intent(2, 7));
    CHECK(state(book, 2) == at(1, 5, false));
    CHECK(refusal(book, operation(2, 0, EndCopy{{Epoch{3}, Sequence{1}}})) == Errc::invalid);
    book.take(operation(2, 0, EndCopy{{Epoch{2}, Sequence{6}}}));
    CHECK_FALSE(book.copying(partition_a));
    CHECK(state(book, 2) == at(2, 7));
}

TEST_CASE("a partition book: what must be unbroken is not taken behind a gap") {
    PartitionBook book;
    book.take(intent(1, 1, true));
    book.refuse(intent(1, 3, true));
    book.refuse(intent(1, 2, true));  // the first of them counts
    CHECK(refusal(book, intent(1, 3, true)) == Errc::invalid);
    CHECK(refusal(book, restore(1)) == Errc::invalid);
    CHECK_FALSE(refusal(book, intent(1, 3)).has_value());  // an owner's own
    SUBCASE("it comes again") {
        CHECK_FALSE(refusal(book, intent(1, 2, true)).has_value());
        book.take(intent(1, 2, true));
        CHECK_FALSE(refusal(book, intent(1, 3, true)).has_value());
    }
    SUBCASE("a later epoch") {
        CHECK_FALSE(refusal(book, intent(2, 3, true)).has_value());
    }
    SUBCASE("the copy begins anew") {
        CHECK_FALSE(refusal(book, operation(1, 0, BeginCopy{})).has_value());
        book.take(operation(1, 0, BeginCopy{}));
        CHECK_FALSE(refusal(book, restore(1)).has_value());
    }
    SUBCASE("the partition is no more") {
        book.drop(partition_a);
        CHECK_FALSE(refusal(book, intent(1, 3, true)).has_value());
    }
}

TEST_CASE("a partition book: what an epoch that is over was refused leaves no gap") {
    PartitionBook book;
    book.take(intent(2, 1, true));
    book.refuse(intent(1, 1, true));
    CHECK_FALSE(refusal(book, intent(2, 2, true)).has_value());
}

TEST_CASE("a partition book tells each mark that changed, once") {
    PartitionBook book;
    book.open(partition_a, {.fence = Epoch{1}, .at = {Epoch{1}, Sequence{3}}, .before = {}});
    CHECK(book.take_changed().empty());
    CHECK(state(book, 1) == at(1, 3));
    CHECK(book.take_changed().empty());  // the fence is there
    book.take(intent(1, 4));
    book.take(intent(1, 5));
    const auto changed = book.take_changed();
    REQUIRE(changed.size() == 1);
    CHECK(changed.front().first == partition_a);
    CHECK(changed.front().second.at == Position{Epoch{1}, Sequence{5}});
    CHECK(book.take_changed().empty());
    book.take(intent(1, 6));
    book.drop(partition_a);
    CHECK(book.take_changed().empty());
}
