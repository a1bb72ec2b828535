// Messages for the tests of this folder.
#pragma once

#include "proto/types/envelope.h"

namespace posthorse::admin::test {

inline constexpr WallTime noon{std::chrono::hours{24 * 20'000 + 12}};  // 2024-10-04T12:00:00Z

// A message accepted `age` before noon. `counter` makes its id unique.
inline Envelope message(std::uint32_t counter,
                        Duration age,
                        std::string sender,
                        std::vector<std::string> recipients) {
    Envelope envelope;
    envelope.accepted_at = noon - age;
    envelope.id = QueueId::make(envelope.accepted_at, PartitionId{1}, Epoch{1}, counter);
    envelope.version = 1;
    envelope.sender = std::move(sender);
    for (auto& address : recipients) {
        envelope.recipients.push_back({.address = std::move(address),
                                       .state = RecipientState::pending,
                                       .attempts = 0,
                                       .last = {}});
    }
    envelope.due_at = noon;
    envelope.expires_at = envelope.accepted_at + std::chrono::hours{96};
    envelope.warn_at = never;
    envelope.size_bytes = 1000;
    return envelope;
}

}  // namespace posthorse::admin::test
