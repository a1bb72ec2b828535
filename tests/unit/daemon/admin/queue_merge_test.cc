#include "daemon/admin/queue_merge.h"

#include <doctest/doctest.h>

namespace posthorse::admin {
namespace {

v1::NodeListResponse page(const std::vector<std::string>& ids, const std::string& to = "") {
    v1::NodeListResponse out;
    for (const auto& id : ids) out.add_messages()->set_id(id);
    out.mutable_walked()->set_to(to);
    return out;
}

std::string ids_of(const v1::ListMessagesResponse& merged) {
    std::string ids;
    for (const auto& message : merged.messages()) ids += message.id();
    return ids;
}

constexpr std::size_t bytes_max = 1'000'000;

TEST_CASE("whole parts are merged in order, and that was all") {
    const auto merged =
        merge_pages({page({"B", "D"}), page({"A", "E"}), page({"C"})}, 10, bytes_max);
    CHECK(ids_of(merged) == "ABCDE");
    CHECK(merged.next_page_token().empty());
}

TEST_CASE("a merged page ends where the part ends that came least far") {
    const auto merged =
        merge_pages({page({"B", "F"}, "G"), page({"A", "C"}, "D"), page({"E"})}, 10, bytes_max);
    CHECK(ids_of(merged) == "ABC");
    CHECK(merged.next_page_token() == "D");
}

TEST_CASE("parts that found nothing yet still bring the walk further") {
    const auto merged = merge_pages({page({}, "K"), page({}, "M")}, 10, bytes_max);
    CHECK(merged.messages().empty());
    CHECK(merged.next_page_token() == "K");
}

TEST_CASE("a full page goes on behind its last message, a page that is just full is complete") {
    auto merged = merge_pages({page({"A", "C"}), page({"B", "D"})}, 3, bytes_max);
    CHECK(ids_of(merged) == "ABC");
    CHECK(merged.next_page_token() == "C");
    merged = merge_pages({page({"A", "C"}), page({"B"})}, 3, bytes_max);
    CHECK(ids_of(merged) == "ABC");
    CHECK(merged.next_page_token().empty());
}

TEST_CASE("octets bound a page too; one message is always there") {
    const auto merged = merge_pages({page({"A"}), page({"B"})}, 10, 1);
    CHECK(ids_of(merged) == "A");
    CHECK(merged.next_page_token() == "A");
}

TEST_CASE("a message that two parts list is there once") {
    CHECK(ids_of(merge_pages({page({"A", "B"}), page({"B", "C"})}, 10, bytes_max)) == "ABC");
}

TEST_CASE("nobody answered: an empty page that is the last") {
    const auto merged = merge_pages({}, 10, bytes_max);
    CHECK(merged.messages().empty());
    CHECK(merged.next_page_token().empty());
}

}  // namespace
}  // namespace posthorse::admin
