#include "proto/smtp/reply_parser.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace posthorse::smtp {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::optional<int> parse_code(std::string_view line) {
    if (line.size() < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) ||
        !is_digit(line[2])) {
        return std::nullopt;
    }
    return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

// One to three digits off the front of `text`; -1: there are none.
int take_number(std::string_view& text) {
    int value = 0;
    std::size_t length = 0;
    for (; length < 3 && length < text.size() && is_digit(text[length]); ++length) {
        value = value * 10 + (text[length] - '0');
    }
    text.remove_prefix(length);
    return length == 0 ? -1 : value;
}

bool take_dot(std::string_view& text) {
    const bool there = text.starts_with('.');
    if (there) text.remove_prefix(1);
    return there;
}

// RFC 2034 section 4. Takes the code and the space behind it off `text`; leaves it when there is
// none or when its class is another than the reply's.
EnhancedCode take_enhanced(std::string_view& text, int code) {
    auto rest = text;
    EnhancedCode enhanced;
    enhanced.klass = take_number(rest);
    if (enhanced.klass != code / 100 || !take_dot(rest)) return {};
    enhanced.subject = take_number(rest);
    if (enhanced.subject < 0 || !take_dot(rest)) return {};
    enhanced.detail = take_number(rest);
    if (enhanced.detail < 0 || !(rest.empty() || rest.front() == ' ')) return {};
    if (!rest.empty()) rest.remove_prefix(1);
    text = rest;
    return enhanced;
}

std::string describe(LineFault fault) {
    switch (fault) {
        case LineFault::too_long:
            return "reply line too long";
        case LineFault::bare_cr:
            return "bare CR in a reply";
        case LineFault::bare_lf:
            return "bare LF in a reply";
        case LineFault::none:
            break;
    }
    return {};
}

}  // namespace

ReplyStep ReplyParser::next(std::string_view input, std::size_t& taken) {
    while (true) {
        const auto line = lines_.next(input.substr(taken), line_bytes_max_);
        taken += line.taken;
        if (!line.complete) return ReplyWanted{};
        if (line.fault != LineFault::none) return ReplyMalformed{describe(line.fault)};
        auto step = take_line(line.text);
        if (!std::holds_alternative<ReplyWanted>(step)) return step;
    }
}

ReplyStep ReplyParser::take_line(std::string_view line) {
    const auto code = parse_code(line);
    const char separator = line.size() > 3 ? line[3] : ' ';
    if (!code || (separator != ' ' && separator != '-')) {
        return ReplyMalformed{"malformed reply: " + sanitise(line, 80)};
    }
    if (line_count_ > 0 && *code != reply_.code) {
        return ReplyMalformed{"one reply with two codes: " + sanitise(line, 80)};
    }
    if (++line_count_ > lines_max_) return ReplyMalformed{"reply of too many lines"};
    reply_.code = *code;
    add_text(line.substr(std::min<std::size_t>(line.size(), 4)));
    if (separator == '-') return ReplyWanted{};
    line_count_ = 0;
    return std::exchange(reply_, Reply{});
}

void ReplyParser::add_text(std::string_view text) {
    const auto enhanced = take_enhanced(text, reply_.code);
    if (line_count_ == 1) {
        reply_.enhanced = enhanced;
    } else {
        reply_.text += '\n';
    }
    reply_.text += sanitise(text);
}

}  // namespace posthorse::smtp
