// Messages between nodes as posthorse/v1/pool.proto, and back.
//
// Place     peer_network.h sends and receives them.
// Contract  What encode makes of a message that core/ made, decode reads back whole; of texts for
//           people only the first thousand octets, and other octets than printable ASCII as '?'.
//           Decoding is total.
// Errors    decode: invalid, "field: rule".
// Bounds    pool_state_codec.h.
#pragma once

#include <string>

#include "replication/core/control_message.h"

namespace posthorse::v1 {
class DeliverRequest;
class PeerHeader;
}  // namespace posthorse::v1

namespace posthorse::replication {

class Faults;

struct Received {
    Header header;
    Message message;
};

void encode(const Header& header, const Message& message, v1::DeliverRequest& to);
Result<Received> decode(const v1::DeliverRequest& request);

// Of a stream, too.
void put(const Header& header, v1::PeerHeader& to);
Header header_from(const v1::PeerHeader& record, Faults& faults);

std::string encode_message(const Header& header, const Message& message);
Result<Received> decode_message(const std::string& octets);

}  // namespace posthorse::replication
