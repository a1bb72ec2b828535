// The Received field that this node puts in front of a message (RFC 5321 section 4.4).
#pragma once

#include <string>
#include <string_view>

#include "proto/types/envelope.h"
#include "proto/types/time.h"

namespace posthorse::mail {

struct TraceFacts {
    Origin origin;          // its client_address, helo, protocol and tls are written
    std::string host_name;  // of this node
    std::string queue_id;
    std::string recipient;  // only when there is exactly one: nobody learns of blind copies
    WallTime at{};
    int priority = 0;  // RFC 6710 section 7; 0 is not written
};

// The whole field with its CR LF, folded. Holds no byte that a client could use to forge another.
struct ReceivedField {
    std::string text;
    std::size_t queue_id_at;  // in `text`: who does not know the id yet puts it there later
};
ReceivedField received_field(const TraceFacts& facts);

struct ProtocolFacts {
    bool esmtp = false;
    bool utf8 = false;  // the message came with SMTPUTF8
    bool tls = false;
    bool authenticated = false;
};

// The word behind "with": RFC 5321 section 4.4, RFC 3848, RFC 6531 section 4.3.
std::string_view protocol_name(const ProtocolFacts& facts);

}  // namespace posthorse::mail
