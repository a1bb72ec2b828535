// What the conformance suite says about copies in short.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "storage/queue_ops.h"
#include "tests/unit/storage/store_session.h"

namespace posthorse::storage {

inline Position position(std::uint64_t epoch, std::uint64_t last) {
    return {.epoch = Epoch{epoch}, .last = Sequence{last}};
}

// The message as it is some changes later.
inline Envelope later(Envelope envelope, std::uint64_t version, WallTime due) {
    envelope.version = version;
    envelope.due_at = due;
    return envelope;
}

template <class Rig>
void restore(Session<Rig>& queue, const Envelope& envelope, std::string head = "restored") {
    REQUIRE(queue.copy(Restore{envelope, make_chunk(std::move(head))}));
}

// The counts and the due order of partition_a agree with its messages, now and after a start.
template <class Rig>
void check_holds(Session<Rig>& queue, const std::vector<Envelope>& expected) {
    std::vector<QueueId> ids;
    for (const Envelope& envelope : expected) ids.push_back(envelope.id);
    std::ranges::sort(ids);
    for (int life = 0; life < 2; ++life) {
        CHECK(ids_of(queue.list()) == ids);
        for (const Envelope& envelope : expected) CHECK(*queue.envelope(envelope.id) == envelope);
        CHECK(queue.store().count(partition_a) == ids.size());
        std::uint64_t bytes = 0;
        for (const Envelope& envelope : expected) bytes += envelope.size_bytes;
        // What a damaged record had counts until the next start.
        CHECK(queue.store().bytes(partition_a) >= bytes);
        if (life == 1) CHECK(queue.store().bytes(partition_a) == bytes);
        if (life == 0) queue.reopen();
    }
    CHECK(queue.found().messages == ids.size());
    std::vector<QueueId> due = ids_of(queue.claim(never, ids.size() + 1));
    std::ranges::sort(due);
    CHECK(due == ids);
}

}  // namespace posthorse::storage
