// Messages for tests of the queue.
#pragma once

#include <string>

#include "proto/types/envelope.h"

namespace posthorse::storage {

inline constexpr PartitionId partition_a{1};
inline constexpr PartitionId partition_b{2};

inline WallTime at_ms(std::int64_t ms) {
    return WallTime{std::chrono::milliseconds{ms}};
}

inline QueueId sample_id(std::uint32_t counter, PartitionId partition = partition_a) {
    return QueueId::make(at_ms(1'800'000'000'000), partition, Epoch{1}, counter);
}

inline NodeId sample_node(std::uint8_t number) {
    NodeId node;
    node.bytes.back() = number;
    return node;
}

inline Recipient sample_recipient(std::string address) {
    return {
        .address = std::move(address), .state = RecipientState::pending, .attempts = 0, .last = {}};
}

inline Envelope sample_envelope(QueueId id,
                                WallTime due = at_ms(1000),
                                std::uint32_t chunk_count = 0) {
    Envelope envelope;
    envelope.id = id;
    envelope.version = 1;
    envelope.sender = "alice@example.org";
    envelope.recipients = {sample_recipient("bob@example.net"),
                           sample_recipient("carol@example.com")};
    envelope.accepted_at = at_ms(500);
    envelope.expires_at = at_ms(900'000);
    envelope.warn_at = at_ms(90'000);
    envelope.due_at = due;
    envelope.chunk_count = chunk_count;
    envelope.size_bytes = 100;
    return envelope;
}

}  // namespace posthorse::storage
