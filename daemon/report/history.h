// The lines of a message's timeline that come of its attempts and notices.
//
//   attempt 3 at mx1.example.net[192.0.2.1]:25, TLSv1.3 TLS_AES_256_GCM_SHA384: 250 2.0.0 ok
//     (2 recipients)
//
// (on one line). What other events say is written where they happen.
//
// Contract  Pure. Printable ASCII, of history_text_max octets at most; a long reply is cut, what
//           follows it is not.
// Bounds    attempt_events_max lines: recipients with one server, reply and count of attempts share
//           one, and what is beyond is counted in the last.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "daemon/report/settle_decision.h"
#include "proto/types/envelope.h"

namespace posthorse::report {

inline constexpr std::size_t attempt_events_max = 8;

// `before`: as it was before the attempts. `outcomes`: of attempts alone.
std::vector<HistoryEvent> attempt_events(const Envelope& before,
                                         std::span<const RecipientOutcome> outcomes,
                                         const NodeId& node);

// What its sender is told by the notices that go with the settlement.
std::vector<HistoryEvent> notice_events(const Decision& decision, const NodeId& node, WallTime now);

}  // namespace posthorse::report
