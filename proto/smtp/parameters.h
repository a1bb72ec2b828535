// ESMTP parameters of MAIL and RCPT (RFC 5321 section 4.1.2): what follows the path.
//
// Contract  Of MAIL: SIZE (RFC 1870), BODY (RFC 6152), AUTH (RFC 4954 section 5, checked and not
//           used), SMTPUTF8 (RFC 6531), RET and ENVID (RFC 3461), REQUIRETLS (RFC 8689), HOLDFOR
//           and HOLDUNTIL (RFC 4865), BY (RFC 2852), MT-PRIORITY (RFC 6710). Of RCPT: NOTIFY and
//           ORCPT (RFC 3461). A parameter that is not offered: 555 5.5.4; one that is malformed or
//           there twice: 501 5.5.4.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/types/envelope.h"
#include "proto/types/reply.h"
#include "proto/types/time.h"

namespace posthorse::smtp {

// What became of the priority that MAIL asked for.
enum class PriorityGiven : std::uint8_t { unasked, as_asked, lowered };

struct MailParameters {
    std::uint64_t size_bytes = 0;  // 0: not given; the largest number when it has no room here
    BodyKind body = BodyKind::seven_bit;
    MailWishes wishes;
    PriorityGiven priority = PriorityGiven::unasked;
};

// REQUIRETLS is offered inside TLS only.
enum class Channel : std::uint8_t { clear, tls };

// How far in the future a message may be released, as EHLO says it (RFC 4865 section 3).
struct ReleaseBounds {
    std::chrono::seconds after_max{};
    WallTime at_max{};
};

// What depends on where MAIL is said.
struct MailOffer {
    Channel channel = Channel::clear;
    std::optional<ReleaseBounds> release{};  // nullopt: FUTURERELEASE is not offered
    std::chrono::seconds deliver_by_min{};   // for BY=...;R, as DELIVERBY says it
    int priority_max = 0;                    // higher ones are lowered to it
};

// `text` is empty or begins with the space behind the path. Returns the refusal, if any.
std::optional<Reply> parse_mail_parameters(std::string_view text,
                                           const MailOffer& offer,
                                           MailParameters& parameters);
std::optional<Reply> parse_rcpt_parameters(std::string_view text, RecipientWishes& wishes);

// As a client writes it: "NOTIFY=SUCCESS,DELAY", "NOTIFY=NEVER" (RFC 3461 section 4.1).
std::string notify_parameter(const Notify& notify);

// As a client writes it: "HOLDFOR=3600". Requires asked().
std::string release_parameter(const FutureRelease& release);

// The same: "BY=120;RT". Requires asked().
std::string deliver_by_parameter(const DeliverBy& by);

// RFC 6710 section 7: "-9" to "9".
std::optional<int> parse_priority(std::string_view text);

// RFC 1870 section 3 and RFC 3030 section 2: 1*20DIGIT, the largest number when it has no room.
std::optional<std::uint64_t> parse_octet_count(std::string_view digits);

}  // namespace posthorse::smtp
