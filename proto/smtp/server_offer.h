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
    std::uint64_t size_bytes_max = 0;  // 0: no limit stated
};

// `ehlo_text` is Reply::text of the positive answer: one keyword a line behind the first line.
// Keywords that are not known, or make no sense, are passed over.
ServerOffer parse_offer(std::string_view ehlo_text);

}  // namespace posthorse::smtp
