// Mailboxes and paths of the envelope (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
//
// Contract  Strict: what passes can be written between '<' and '>' of another MAIL or RCPT as it
//           is, and holds no control character. Beyond ASCII it is harmless UTF-8 (utf8.h), and
//           only with Charset::utf8. Nothing is cut or rewritten; whether a domain that is not
//           ASCII can be asked of the DNS is for daemon/runtime/idn.h.
// Bounds    RFC 5321 section 4.5.3.1: local part 64, domain 255, path 256 octets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace posthorse::smtp {

enum class PathFault : std::uint8_t {
    none,
    syntax,
    local_part_too_long,
    domain_too_long,
    path_too_long,
    eight_bit,  // with Charset::ascii
};

// What MAIL's SMTPUTF8 decides.
enum class Charset : std::uint8_t { ascii, utf8 };

enum class PathKind : std::uint8_t {
    reverse,  // MAIL FROM: "<>" is allowed
    forward,  // RCPT TO: "<Postmaster>" without a domain is allowed
};

struct Path {
    // Without brackets and source route (RFC 5321 appendix C: accepted and ignored). Empty: "<>".
    std::string_view mailbox;
    std::size_t length = 0;  // octets from '<' to '>'; the parameters follow
    PathFault fault = PathFault::none;
};

// The path at the very front of `text`; mailbox is a view into it.
Path parse_path(std::string_view text, PathKind kind, Charset charset = Charset::ascii);

// The whole of `mailbox` is what parse_path() would yield for a path of this kind.
bool is_mailbox(std::string_view mailbox, PathKind kind, Charset charset = Charset::ascii);

// Behind the last '@'; empty when there is none. For mailboxes that passed.
std::string_view domain_of(std::string_view mailbox);
std::string_view local_part_of(std::string_view mailbox);

// "example.org", and with `[...]` an IPv4 or "IPv6:" address literal (RFC 5321 section 4.1.3).
bool is_domain(std::string_view text, Charset charset = Charset::ascii);
bool is_address_literal(std::string_view text);

}  // namespace posthorse::smtp
