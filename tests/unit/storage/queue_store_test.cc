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

namespace {

// A message that came to its end, which waits for somebody else's sync.
struct Patient : Session<MemoryRig> {
    Patient() {
        REQUIRE(write(Commit{message, make_chunk("x")}));
        syncs = store().stats().syncs;
        auto change = settle(message, std::nullopt, {}, {});
        change.patient = true;
        store().apply(stamped(std::move(change)), [this](Result<void> result) {
            REQUIRE_FALSE(result.has_value());
            ended = result.error().code;
        });
        rig.loop.run_all();
    }

    const Envelope message = sample_envelope(sample_id(1));
    std::uint64_t syncs = 0;  // before
    std::optional<Errc> ended;
};

}  // namespace

// The contract leaves it to a store how long what is patient waits. This one wins syncs so.
TEST_CASE("patient settlements alone are not synced, and go with the power") {
    Patient queue;
    CHECK_FALSE(queue.envelope(queue.message.id).has_value());  // as all can see
    CHECK(queue.store().stats().syncs == queue.syncs);
    SUBCASE("with the power") {
        queue.lose_power();
        CHECK(queue.envelope(queue.message.id).has_value());
    }
    SUBCASE("but not with the process") {
        queue.reopen();
        CHECK_FALSE(queue.envelope(queue.message.id).has_value());
    }
    CHECK(queue.ended == Errc::cancelled);
}

TEST_CASE("a failing sync fails the patient, too") {
    Patient queue;
    queue.rig.fail_next_sync();
    queue.store().sync_patient();
    queue.rig.loop.run_all();
    CHECK(queue.ended == Errc::io);
    CHECK_FALSE(queue.store().healthy());
}
