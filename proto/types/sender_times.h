// The times that a sender named (RFC 2852 section 4.1.3), in place of the queue's.
//
// Place     Where an envelope gets its times: at acceptance (daemon/intake), and anew at adoption
//           (daemon/aside).
// Contract  Pure. The queue's own times are in the envelope before.
#pragma once

#include <algorithm>
#include <cstdint>

#include "proto/types/envelope.h"

namespace posthorse {

// Whether this node has to tell the sender, at the time that it named, that the message is late.
enum class LateNotice : std::uint8_t {
    owed,
    not_owed,  // there is nobody to tell, or another did, or this one
};

inline void apply_sender_times(Envelope& envelope, LateNotice notice) {
    const auto& by = envelope.wishes.deliver_by;
    switch (by.otherwise) {
        case DeliverBy::Otherwise::give_back:
            envelope.expires_at = std::min(envelope.expires_at, by.at);
            break;
        case DeliverBy::Otherwise::notify:
            if (notice == LateNotice::owed) envelope.warn_at = by.at;
            break;
        case DeliverBy::Otherwise::unsaid:
            break;
    }
}

}  // namespace posthorse
