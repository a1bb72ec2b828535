#include "storage/queue_summary.h"

#include <numeric>

#include <doctest/doctest.h>

#include "tests/unit/daemon/admin/envelopes.h"

namespace posthorse::storage {
namespace {

using namespace std::chrono_literals;
using admin::test::message;
using admin::test::noon;

std::size_t bucket_of_age(Duration age) {
    QueueSummary summary;
    summary.add(message(1, age, "a@b", {"c@d"}), noon);
    const auto& counts = summary.total().by_age;
    REQUIRE(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}) == 1);
    return static_cast<std::size_t>(std::find(counts.begin(), counts.end(), 1u) - counts.begin());
}

TEST_CASE("a bound belongs to the bucket above it") {
    CHECK(bucket_of_age(0ms) == 0);
    CHECK(bucket_of_age(5min - 1ms) == 0);
    CHECK(bucket_of_age(5min) == 1);
    CHECK(bucket_of_age(2560min - 1ms) == age_bounds.size() - 1);
    CHECK(bucket_of_age(2560min) == age_bounds.size());
    CHECK(bucket_of_age(-1h) == 0);  // the clock was set back
}

TEST_CASE("a message counts once in the total and once for each domain") {
    QueueSummary summary;
    summary.add(message(1, 1min, "a@b", {"x@one.test", "y@two.test", "z@ONE.test"}), noon);
    CHECK(summary.total().messages == 1);
    CHECK(summary.total().recipients == 3);
    const auto rows = summary.largest(10);
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].domain == "one.test");
    CHECK(rows[0].messages == 1);
    CHECK(rows[0].recipients == 2);
    CHECK(rows[1].domain == "two.test");
    CHECK(rows[1].recipients == 1);
}

TEST_CASE("recipients that are done do not wait, nor does a message without pending ones") {
    QueueSummary summary;
    auto envelope = message(1, 1min, "a@b", {"x@one.test", "y@two.test"});
    envelope.recipients[0].state = RecipientState::delivered;
    summary.add(envelope, noon);
    envelope.recipients[1].state = RecipientState::failed;
    summary.add(envelope, noon);
    CHECK(summary.total().messages == 1);
    REQUIRE(summary.domain_count() == 1);
    CHECK(summary.largest(1)[0].domain == "two.test");
}

TEST_CASE("the largest come first, ties by name, no more than asked for") {
    QueueSummary summary;
    std::uint32_t counter = 0;
    for (const auto* domain : {"b.test", "a.test", "c.test", "c.test"}) {
        summary.add(message(++counter, 1min, "s@t", {std::string("x@") + domain}), noon);
    }
    const auto rows = summary.largest(2);
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].domain == "c.test");
    CHECK(rows[0].messages == 2);
    CHECK(rows[1].domain == "a.test");
    CHECK(summary.largest(0).empty());
    CHECK(summary.largest(100).size() == 3);
}

TEST_CASE("domains beyond the bound share one row, known ones keep counting") {
    QueueSummary summary;
    const auto add = [&](const std::string& domain) {
        summary.add(message(1, 1min, "s@t", {"x@" + domain}), noon);
    };
    for (std::size_t i = 0; i < QueueSummary::domains_max; ++i) add(std::to_string(i) + ".test");
    add("late.test");
    add("later.test");
    add("7.test");
    CHECK(summary.domain_count() == QueueSummary::domains_max + 1);
    CHECK(summary.total().messages == QueueSummary::domains_max + 3);
    const auto rows = summary.largest(2);
    CHECK(rows[0].domain == QueueSummary::other_domains);
    CHECK(rows[0].messages == 2);
    CHECK(rows[1].domain == "7.test");
    CHECK(rows[1].messages == 2);
}

TEST_CASE("the domain of an address is what stands behind the last @, in lower case") {
    CHECK(domain_of("\"a@b\"@Example.org") == "example.org");
    CHECK(domain_of("postmaster") == "postmaster");
    CHECK(domain_of("") == "");
}

}  // namespace
}  // namespace posthorse::storage
