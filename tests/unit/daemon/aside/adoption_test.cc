#include "daemon/aside/adoption.h"

#include <doctest/doctest.h>

#include "tests/unit/storage/samples.h"

namespace posthorse::aside {
namespace {

using namespace std::chrono_literals;
using storage::sample_envelope;
using storage::sample_id;
using storage::sample_node;

constexpr WallTime now{std::chrono::hours{24 * 20'000}};
const QueueId new_id = QueueId::make(now, PartitionId{7}, Epoch{2}, 3);

Adopting adopting(std::uint32_t open_attempts = 0) {
    return {.new_id = new_id,
            .directory = "20260701T120501Z-ab",
            .open_attempts = open_attempts,
            .node = sample_node(4),
            .now = now};
}

TEST_CASE("an adopted message is new, and goes to whoever still waited for it") {
    auto old = sample_envelope(sample_id(1));
    old.version = 9;
    old.recipients[0].state = RecipientState::delivered;
    old.recipients[1].attempts = 4;
    const auto fresh = adopted(old, adopting());
    CHECK(fresh.id == new_id);
    CHECK(fresh.version == 1);
    REQUIRE(fresh.recipients.size() == 1);
    CHECK(fresh.recipients[0] == old.recipients[1]);
    CHECK(fresh.sender == old.sender);
    CHECK(fresh.due_at == now);
}

TEST_CASE("its age is the old one; its lifetime and its warning begin anew") {
    auto old = sample_envelope(sample_id(1));
    auto fresh = adopted(old, adopting());
    CHECK(fresh.accepted_at == old.accepted_at);
    CHECK(fresh.expires_at - now == old.expires_at - old.accepted_at);
    CHECK(fresh.warn_at - now == old.warn_at - old.accepted_at);
    old.warn_at = never;
    CHECK(adopted(old, adopting()).warn_at == never);
}

TEST_CASE("a held message stays held") {
    auto old = sample_envelope(sample_id(1));
    old.held = true;
    old.held_why = "poison";
    const auto fresh = adopted(old, adopting());
    CHECK(fresh.held);
    CHECK(fresh.held_why == "poison");
    CHECK(fresh.due_at == never);
}

TEST_CASE("a message for later is adopted as one") {
    auto old = sample_envelope(sample_id(1));
    old.release_at = now + 1h;
    CHECK(adopted(old, adopting()).due_at == now + 1h);
    CHECK(adopted(old, adopting()).release_at == now + 1h);
}

TEST_CASE("a time that the sender named does not begin anew") {
    auto old = sample_envelope(sample_id(1));
    old.wishes.deliver_by = {.otherwise = DeliverBy::Otherwise::give_back, .at = now + 1min};
    old.expires_at = now + 1min;
    CHECK(adopted(old, adopting()).expires_at == now + 1min);
    old.wishes.deliver_by.otherwise = DeliverBy::Otherwise::notify;
    old.warn_at = now + 1min;
    CHECK(adopted(old, adopting()).warn_at == now + 1min);
}

TEST_CASE("attempts without an end are in doubt, and nobody is asked about them") {
    auto old = sample_envelope(sample_id(1));
    old.in_doubt = 1;
    old.doubts = {{.attempt = 2, .recipients = {0}, .remote = "mx", .started = now, .by = {}}};
    const auto fresh = adopted(old, adopting(2));
    CHECK(fresh.in_doubt == 3);
    CHECK(fresh.doubts.empty());
}

TEST_CASE("its history goes on, and says where it came from") {
    auto old = sample_envelope(sample_id(1));
    old.history = {{now - 1h, sample_node(3), "accepted"}};
    const auto fresh = adopted(old, adopting());
    REQUIRE(fresh.history.size() == 2);
    CHECK(fresh.history[0] == old.history[0]);
    CHECK(fresh.history[1] ==
          HistoryEvent{now, sample_node(4),
                       "adopted from " + old.id.to_string() + " of 20260701T120501Z-ab"});
}

}  // namespace
}  // namespace posthorse::aside
