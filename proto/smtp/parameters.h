// ESMTP parameters of MAIL and RCPT (RFC 5321 section 4.1.2): what follows the path.
//
// Contract  SIZE (RFC 1870), BODY (RFC 6152) and AUTH (RFC 4954 section 5, checked and not used) of
//           MAIL; none of RCPT. A parameter that is not offered: 555 5.5.4; one that is malformed
//           or there twice: 501 5.5.4.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proto/types/envelope.h"
#include "proto/types/reply.h"

namespace posthorse::smtp {

struct MailParameters {
    std::uint64_t size_bytes = 0;  // 0: not given; the largest number when it has no room here
    BodyKind body = BodyKind::seven_bit;
};

// `text` is empty or begins with the space behind the path. Returns the refusal, if any.
std::optional<Reply> parse_mail_parameters(std::string_view text, MailParameters& parameters);
std::optional<Reply> parse_rcpt_parameters(std::string_view text);

}  // namespace posthorse::smtp
