// A message and what attempts at it may meet.
#pragma once

#include <string>
#include <vector>

#include "daemon/report/settle_decision.h"

namespace posthorse::report {

inline constexpr WallTime accepted{std::chrono::milliseconds{1'795'000'000'000}};

inline Envelope sample_envelope(std::vector<std::string> recipients = {"bob@example.net"}) {
    Envelope envelope;
    envelope.id = QueueId::make(accepted, PartitionId{1}, Epoch{1}, 7);
    envelope.version = 3;
    envelope.sender = "ann@example.org";
    for (auto& address : recipients) envelope.recipients.push_back({.address = std::move(address)});
    envelope.accepted_at = accepted;
    envelope.due_at = accepted;
    envelope.expires_at = accepted + std::chrono::hours{96};
    envelope.warn_at = accepted + std::chrono::hours{4};
    return envelope;
}

inline RecipientOutcome outcome_of(std::uint32_t recipient, OutcomeKind kind, Reply reply) {
    return {recipient,
            kind,
            {std::move(reply), "mx.example.net[192.0.2.1]:25", "TLSv1.3 TLS_AES_256_GCM_SHA384",
             accepted + std::chrono::milliseconds{520}}};
}
inline RecipientOutcome delivered(std::uint32_t recipient) {
    return outcome_of(recipient, OutcomeKind::delivered, {250, {2, 0, 0}, "ok"});
}
inline RecipientOutcome deferred(std::uint32_t recipient) {
    return outcome_of(recipient, OutcomeKind::deferred, {450, {4, 2, 0}, "try later"});
}
inline RecipientOutcome failed(std::uint32_t recipient) {
    return outcome_of(recipient, OutcomeKind::failed, {550, {5, 1, 1}, "no such user"});
}
// The connection ended without a reply.
inline RecipientOutcome lost(std::uint32_t recipient) {
    auto outcome = outcome_of(recipient, OutcomeKind::deferred, {0, {4, 4, 2}, "connection lost"});
    outcome.status.reply_lost = true;
    return outcome;
}

}  // namespace posthorse::report
