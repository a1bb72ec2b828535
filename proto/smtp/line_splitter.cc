#include "proto/smtp/line_splitter.h"

namespace posthorse::smtp {

LineEndScanner::Stretch LineEndScanner::next(std::string_view input) {
    Stretch stretch;
    if (input.empty()) return stretch;
    const auto lf = input.find('\n');
    const bool ended = lf != std::string_view::npos;
    const auto before_lf = input.substr(0, lf);
    stretch.length = ended ? lf + 1 : input.size();
    if (ended) {
        const bool after_cr = before_lf.empty() ? after_cr_ : before_lf.back() == '\r';
        stretch.end = after_cr ? LineEnd::crlf : LineEnd::bare_lf;
    }
    // Any CR but the last byte before the LF, or before the end of the input, stands alone.
    const auto cr = before_lf.find('\r');
    stretch.bare_cr = (after_cr_ && !before_lf.empty()) ||
                      (cr != std::string_view::npos && cr + 1 < before_lf.size());
    after_cr_ = !ended && input.back() == '\r';
    return stretch;
}

LineSplitter::Line LineSplitter::next(std::string_view input, std::size_t bytes_max) {
    if (skipping_) return skip(input);
    const auto window = input.substr(0, bytes_max);
    LineEndScanner scanner;
    const auto stretch = scanner.next(window);
    if (stretch.bare_cr) return report(window, stretch.length, LineFault::bare_cr);
    if (stretch.end == LineEnd::bare_lf) return report(window, stretch.length, LineFault::bare_lf);
    if (stretch.end == LineEnd::crlf) {
        return {.taken = stretch.length,
                .complete = true,
                .text = window.substr(0, stretch.length - 2)};
    }
    if (window.size() == bytes_max) return report(window, stretch.length, LineFault::too_long);
    return {};
}

LineSplitter::Line LineSplitter::report(std::string_view input,
                                        std::size_t looked_at,
                                        LineFault fault) {
    skipped_ = LineEndScanner{};
    const auto stretch = skipped_.next(input.substr(0, looked_at));
    skipping_ = stretch.end != LineEnd::crlf;
    return {.taken = looked_at, .complete = true, .fault = fault};
}

LineSplitter::Line LineSplitter::skip(std::string_view input) {
    Line line;
    while (skipping_ && line.taken < input.size()) {
        const auto stretch = skipped_.next(input.substr(line.taken));
        line.taken += stretch.length;
        skipping_ = stretch.end != LineEnd::crlf;
    }
    return line;
}

}  // namespace posthorse::smtp
