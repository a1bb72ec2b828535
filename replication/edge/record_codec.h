// What a node remembers of itself and of its pool's agreement, as the octets of its control file
// (posthorse/v1/control.proto), and back.
//
// Place     Under control_disk.h.
// Contract  What encode_record() makes, decode_record() reads back whole. It reads the first format
//           too, which releases before pools wrote: of a pool of one, without terms, whose only
//           member is its only voter.
//           Decoding is total.
// Errors    corrupt: what is wrong. A record is never repaired: that would forget promises.
// Bounds    pool_state_codec.h.
#pragma once

#include <string>

#include "replication/core/control_message.h"

namespace posthorse::replication {

std::string encode_record(const ControlRecord& record);
Result<ControlRecord> decode_record(const std::string& octets);

}  // namespace posthorse::replication
