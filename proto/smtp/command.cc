#include "proto/smtp/command.h"

#include <algorithm>
#include <array>

namespace posthorse::smtp {

namespace {

struct NamedVerb {
    std::string_view name;
    Verb verb;
};

constexpr std::array named_verbs{
    NamedVerb{"HELO", Verb::helo},    NamedVerb{"EHLO", Verb::ehlo},
    NamedVerb{"MAIL", Verb::mail},    NamedVerb{"RCPT", Verb::rcpt},
    NamedVerb{"DATA", Verb::data},    NamedVerb{"RSET", Verb::rset},
    NamedVerb{"NOOP", Verb::noop},    NamedVerb{"QUIT", Verb::quit},
    NamedVerb{"VRFY", Verb::vrfy},    NamedVerb{"EXPN", Verb::expn},
    NamedVerb{"HELP", Verb::help},    NamedVerb{"STARTTLS", Verb::starttls},
    NamedVerb{"AUTH", Verb::auth},    NamedVerb{"GET", Verb::http},
    NamedVerb{"POST", Verb::http},    NamedVerb{"HEAD", Verb::http},
    NamedVerb{"PUT", Verb::http},     NamedVerb{"DELETE", Verb::http},
    NamedVerb{"CONNECT", Verb::http}, NamedVerb{"OPTIONS", Verb::http},
    NamedVerb{"TRACE", Verb::http},   NamedVerb{"PATCH", Verb::http},
    NamedVerb{"PRI", Verb::http},     NamedVerb{"BDAT", Verb::bdat},
};

constexpr std::size_t helo_bytes_max = 255;

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_space(char c) {
    return c == ' ' || c == '\t';
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

CommandFault judge_characters(std::string_view text) {
    bool eight_bit = false;
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        if (octet < 32 || octet == 127) return CommandFault::control_character;
        eight_bit |= octet > 127;
    }
    return eight_bit ? CommandFault::eight_bit : CommandFault::none;
}

Verb verb_of(std::string_view word) {
    const auto found = std::ranges::find_if(
        named_verbs, [word](const NamedVerb& v) { return equal_ignoring_case(v.name, word); });
    return found == named_verbs.end() ? Verb::unknown : found->verb;
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, {}, lower, lower);
}

Command parse_command(std::string_view line) {
    // RFC 5321 section 4.1.1: trailing white space is to be tolerated.
    while (!line.empty() && is_space(line.back())) line.remove_suffix(1);
    const auto word_end = std::min(line.find_first_of(" \t"), line.size());
    return {.verb = verb_of(line.substr(0, word_end)),
            .argument = trim(line.substr(word_end)),
            .fault = judge_characters(line)};
}

std::optional<std::string_view> after_keyword(std::string_view text, std::string_view keyword) {
    if (!equal_ignoring_case(text.substr(0, keyword.size()), keyword)) return std::nullopt;
    return text.substr(keyword.size());
}

bool is_helo_name(std::string_view name) {
    constexpr std::string_view allowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]";
    return !name.empty() && name.size() <= helo_bytes_max &&
           name.find_first_not_of(allowed) == std::string_view::npos;
}

}  // namespace posthorse::smtp
