// What a server's EHLO offered (RFC 5321 section 4.1.1.1).
#pragma once

#include <cstdint>
#include <string_view>

namespace posthorse::smtp {

struct ServerOffer {
    bool esmtp = false;
    bool starttls = false;
    bool pipelining = false;
    bool eight_bit_mime = false;
    bool enhanced_codes = false;
    bool size = false;
    std::uint64_t size_bytes_max = 0;          // 0: no limit stated
    bool smtp_utf8 = false;                    // RFC 6531
    bool notices = false;                      // DSN, RFC 3461
    bool require_tls = false;                  // REQUIRETLS, RFC 8689
    bool priority = false;                     // MT-PRIORITY, RFC 6710
    bool deliver_by = false;                   // DELIVERBY, RFC 2852
    std::uint64_t deliver_by_seconds_min = 0;  // for mail that is given back else; 0: none stated
    // LIMITS (RFC 9422); 0: none stated.
    std::uint64_t mails_max = 0;              // in a connection
    std::uint64_t recipients_max = 0;         // in a message
    std::uint64_t recipient_domains_max = 0;  // in a message
};

// `ehlo_text` is Reply::text of the positive answer: one keyword a line behind the first line.
// Keywords that are not known, or make no sense, are passed over.
ServerOffer parse_offer(std::string_view ehlo_text);

}  // namespace posthorse::smtp
