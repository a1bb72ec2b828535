// One command line -> one value (RFC 5321 section 4.1.1).
//
// Contract  Syntax of the line only: what a verb's argument means is for address.h, parameters.h
//           and the session. The argument is a view into the line.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace posthorse::smtp {

enum class Verb : std::uint8_t {
    helo,
    ehlo,
    mail,
    rcpt,
    data,
    bdat,
    rset,
    noop,
    quit,
    vrfy,
    expn,
    help,
    starttls,
    auth,
    http,  // a web request gone astray: GET, POST, ...
    unknown,
};

enum class CommandFault : std::uint8_t { none, control_character, eight_bit };

struct Command {
    Verb verb = Verb::unknown;
    std::string_view argument;  // without the white space around it
    CommandFault fault = CommandFault::none;
};

// `line` comes without its CR LF. The verb is recognised in any case (RFC 5321 section 2.4), and
// also when there is a fault.
Command parse_command(std::string_view line);

// "FROM:" of MAIL and "TO:" of RCPT, in any case: what stands behind it; nullopt when `text` does
// not begin so.
std::optional<std::string_view> after_keyword(std::string_view text, std::string_view keyword);

// EHLO and HELO: a domain name or an address literal, judged by its characters only (RFC 5321
// section 4.1.4 forbids refusing for more). What passes is safe in a Received field.
bool is_helo_name(std::string_view name);

// ASCII, so that no locale takes part.
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace posthorse::smtp
