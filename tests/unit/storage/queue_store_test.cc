#include <doctest/doctest.h>

#include "tests/unit/storage/queue_store_conformance.h"
#include "tests/unit/storage/store_rigs.h"

using namespace posthorse;
using namespace posthorse::storage;

TEST_CASE("the memory store keeps the contract of queue stores") {
    check_queue_store<MemoryRig>();
}

TEST_CASE("the RocksDB store keeps it on a disk that loses what was not synced") {
    check_queue_store<RocksRig>();
}

TEST_CASE("the RocksDB store keeps it on a disk that tears what was not synced") {
    check_queue_store<TearingRocksRig>();
}

// The contract leaves it to a store how long what is patient waits. This one wins syncs so.
TEST_CASE("patient settlements alone are not synced, and go with the power") {
    Session<MemoryRig> queue;
    const Envelope message = sample_envelope(sample_id(1));
    REQUIRE(queue.write(Commit{message, make_chunk("x")}));
    const std::uint64_t syncs = queue.store().stats().syncs;
    auto change = settle(message, std::nullopt, {}, {});
    change.patient = true;
    std::optional<Errc> ended;
    queue.store().apply(queue.stamped(std::move(change)), [&](Result<void> result) {
        REQUIRE_FALSE(result.has_value());
        ended = result.error().code;
    });
    queue.rig.loop.run_all();
    CHECK_FALSE(queue.envelope(message.id).has_value());  // as all can see
    CHECK(queue.store().stats().syncs == syncs);
    SUBCASE("with the power") {
        queue.lose_power();
        CHECK(queue.envelope(message.id).has_value());
    }
    SUBCASE("but not with the process") {
        queue.reopen();
        CHECK_FALSE(queue.envelope(message.id).has_value());
    }
    CHECK(ended == Errc::cancelled);
}

TEST_CASE("a failing sync fails the patient, too") {
    Session<MemoryRig> queue;
    const Envelope message = sample_envelope(sample_id(1));
    REQUIRE(queue.write(Commit{message, make_chunk("x")}));
    auto change = settle(message, std::nullopt, {}, {});
    change.patient = true;
    std::optional<Errc> ended;
    queue.store().apply(queue.stamped(std::move(change)), [&](Result<void> result) {
        REQUIRE_FALSE(result.has_value());
        ended = result.error().code;
    });
    queue.rig.loop.run_all();
    queue.rig.fail_next_sync();
    queue.store().sync_patient();
    queue.rig.loop.run_all();
    CHECK(ended == Errc::io);
    CHECK_FALSE(queue.store().healthy());
}
