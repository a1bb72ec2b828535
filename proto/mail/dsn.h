// The notice that tells a sender what became of a message: multipart/report (RFC 6522) with a
// message/delivery-status part (RFC 3464); a part that holds UTF-8 has its form for that
// (RFC 6533).
//
// Place     Called by daemon/report with what the queue knows; the caller queues the result with a
//           null sender (RFC 5321 section 6.1) and never calls for a message that had one.
// Contract  A value in, the bytes of a whole message out, CR LF lines. All of it is printable
//           ASCII, or harmless UTF-8 (utf8.h) with Charset::utf8, whatever a remote server or the
//           original header said; but for the original message, which is returned as it is. No
//           clock and no random inside.
// Bounds    The quoted header is cut to `header_bytes_max`, a line to 998 octets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/types/envelope.h"
#include "proto/types/time.h"

namespace posthorse::mail {

enum class DsnKind : std::uint8_t {
    failed,     // will not be delivered
    delayed,    // not delivered yet; is tried on until `retry_until`
    relayed,    // a server took it that sends no notices of success (RFC 3461 section 5.2.2)
    delivered,  // it lies in the mailbox
};

enum class DsnCharset : std::uint8_t { ascii, utf8 };

struct DsnRecipient {
    std::string address;  // Final-Recipient
    // As the sender named it (ORCPT), decoded: "rfc822;bob@example.net". Empty: not known.
    std::string original_recipient;
    DeliveryStatus last;  // what the last attempt met
};

struct DsnFacts {
    DsnKind kind = DsnKind::failed;
    DsnCharset charset = DsnCharset::ascii;  // utf8 only when the message came with SMTPUTF8
    std::string host_name;    // of this node: Reporting-MTA, and MAILER-DAEMON's domain
    std::string sender;       // of the original message: who is told
    std::string queue_id;     // of the original message
    std::string envelope_id;  // as the sender named the message (ENVID), decoded; empty: not known
    std::string unique;       // never given twice: makes the Message-ID and the boundary
    WallTime now{};
    WallTime arrived{};
    std::optional<WallTime> deliver_by;  // Deliver-By-Date (RFC 2852 section 5)
    std::string release;  // Future-Release-Request (RFC 4865 section 5.1.2); empty: none was made
    WallTime retry_until{};
    std::vector<DsnRecipient> recipients;  // those that this notice is about
    std::string_view original_header;      // perhaps only the beginning of it
    std::size_t header_bytes_max = 16 * 1024;
    std::string_view original_message;  // not empty: all of it is returned (RET=FULL)
};

std::string make_dsn(const DsnFacts& facts);

}  // namespace posthorse::mail
