// Reply lines of a server -> one reply (RFC 5321 section 4.2).
//
// Contract  Strict about what decides: three digits 200..599, then space, hyphen or the end, the
//           same code in every line. Success is never guessed from a prefix. Lenient about text,
//           which is made printable.
// Bounds    Lines and their length as in `limits`; more is a protocol error.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "proto/smtp/line_splitter.h"
#include "proto/types/limits.h"
#include "proto/types/reply.h"

namespace posthorse::smtp {

struct ReplyWanted {};  // the reply is not complete
struct ReplyMalformed {
    std::string why;
};  // the server does not speak SMTP: hang up
using ReplyStep = std::variant<ReplyWanted, ReplyMalformed, Reply>;

class ReplyParser {
public:
    explicit ReplyParser(const Limits& limits)
        : line_bytes_max_(limits.reply_line_bytes_max), lines_max_(limits.reply_lines_max) {}

    // Takes lines off the front of `input` until a reply is complete, and adds to `taken`.
    // The enhanced code at the front of the text (RFC 2034) is parsed off when it fits the code.
    ReplyStep next(std::string_view input, std::size_t& taken);

private:
    ReplyStep take_line(std::string_view line);
    void add_text(std::string_view text);

    std::size_t line_bytes_max_;
    std::size_t lines_max_;
    LineSplitter lines_;
    Reply reply_;
    std::size_t line_count_ = 0;
};

}  // namespace posthorse::smtp
