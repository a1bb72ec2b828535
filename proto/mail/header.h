// The header section of a message (RFC 5322 section 2.2), looked at without a copy.
//
// Place     Under intake (header fixing, loop limit), sign (what to sign) and dsn.
// Contract  Fields put back together are the bytes that came in. A line that is no field ends the
//           section, as if the empty line had been forgotten. Views point into the text that was
//           parsed.
// Bounds    HeaderLimits; past them parsing stops and says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace posthorse::mail {

struct HeaderLimits {
    std::size_t bytes_max = 1024 * 1024;
    std::size_t fields_max = 10000;
};

struct Field {
    std::string_view raw;    // the whole field with its folds and final CR LF, as it stands
    std::string_view name;   // never empty
    std::string_view value;  // behind the colon, folds and all, without the final CR LF
};

enum class HeaderEnd : std::uint8_t {
    empty_line,  // the body follows
    input,       // the text ended: no body, or more is to come
    body_line,   // a line that is no field: the body follows without an empty line
    limit,       // more than HeaderLimits allow
};

struct Header {
    std::vector<Field> fields;
    std::size_t length = 0;  // of the section, without the empty line
    HeaderEnd end = HeaderEnd::input;

    // The first field of that name, in any case; nullptr: there is none.
    const Field* find(std::string_view name) const;
    std::size_t count(std::string_view name) const;
};

Header parse_header(std::string_view text, const HeaderLimits& limits = {});

// The offset behind the empty line that ends the section; npos: it is not there yet. For a reader
// that gathers a message piece by piece; `from` is where the last look ended.
std::size_t find_body(std::string_view text, std::size_t from = 0);

// A value on one line: line ends go, the white space behind them stays, and what surrounds it goes
// (RFC 5322 section 2.2.3).
std::string unfold(std::string_view value);

// The value of Message-ID, made safe for logs and records; empty when there is none.
std::string message_id(const Header& header);

// RFC 5321 section 6.3: how many servers say that they passed the message on.
std::size_t count_received(const Header& header);

bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace posthorse::mail
