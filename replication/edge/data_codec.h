// Frames between the holders of a partition as posthorse/v1/exchange.proto, and back.
//
// Place     peer_exchange.h sends and receives them.
// Contract  What encode makes of a frame, decode reads back whole, but for what a settlement says
//           to its owner's store alone (claim, remember). Of the changes of a store, those that an
//           owner stamps go on the wire; to encode another one is a bug.
//           Decoding is total, and what comes out of it is of one partition: every id in a frame
//           names the frame's, so that no frame reaches into another's copy. Indices of recipients
//           are not compared with a message: whoever has it does that.
//           A body is copied once on its way out, into the message, and not on its way in: decode
//           takes it out of the record.
// Errors    decode: invalid, "field: rule".
// Bounds    The constants in frame_fields.h, and the transport's bound of a message
//           (peer_limits.h).
#pragma once

#include <string>

#include "proto/types/result.h"
#include "replication/core/data_message.h"

namespace posthorse::v1 {
class FrameRecord;
}

namespace posthorse::replication {

void encode(const Frame& frame, v1::FrameRecord& to);
Result<Frame> decode(v1::FrameRecord&& record);

std::string encode_frame(const Frame& frame);
Result<Frame> decode_frame(const std::string& octets);

}  // namespace posthorse::replication
