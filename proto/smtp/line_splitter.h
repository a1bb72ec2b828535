// The only judge of CR and LF: commands, replies and message data ask here where a line ends.
//
// Place     Under server_session, client_session and data_framing; nothing else in the program may
//           look for line ends in what a peer sent. Two judges of the same bytes are how SMTP
//           smuggling works.
// Contract  A line ends in CR LF and nowhere else (RFC 5321 section 2.3.8). A CR without an LF
//           behind it and an LF without a CR before it are faults, never line ends. The answer does
//           not depend on how the input was cut into pieces.
// Bounds    Constant memory; LineSplitter looks at no more than `bytes_max` bytes of a line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace posthorse::smtp {

// What ends a stretch of input.
enum class LineEnd : std::uint8_t { none, crlf, bare_lf };

// Looks at a stream piece by piece; remembers a CR at the end of one piece for the next.
class LineEndScanner {
public:
    struct Stretch {
        std::size_t length = 0;       // up to and with the first LF, or all of the input
        LineEnd end = LineEnd::none;  // what the stretch ends in
        bool bare_cr = false;         // it holds a CR that no LF follows, or proves an earlier one
    };

    // Takes `length` bytes of `input`.
    Stretch next(std::string_view input);

private:
    bool after_cr_ = false;
};

enum class LineFault : std::uint8_t { none, too_long, bare_cr, bare_lf };

// Cuts lines off the front of a buffer that the caller keeps.
//
// Contract  A faulty line is reported once, as soon as the fault is seen, without its text; the
//           rest of it, up to its CR LF, is skipped: nothing in it is ever taken for a line.
class LineSplitter {
public:
    struct Line {
        std::size_t taken = 0;  // drop so many bytes from the front of the buffer
        bool complete = false;  // false: nothing to act on yet; feed more
        std::string_view text;  // into the input, without CR LF; empty when there is a fault
        LineFault fault = LineFault::none;
    };

    // `bytes_max` counts the CR LF.
    Line next(std::string_view input, std::size_t bytes_max);

    // The buffer's first byte begins a line; false while the rest of a faulty line is skipped.
    bool at_line_start() const noexcept { return !skipping_; }

private:
    Line skip(std::string_view input);
    Line report(std::string_view input, std::size_t looked_at, LineFault fault);

    bool skipping_ = false;
    LineEndScanner skipped_;  // where in the rest of a faulty line we are
};

}  // namespace posthorse::smtp
