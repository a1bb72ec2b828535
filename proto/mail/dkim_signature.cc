#include "proto/mail/dkim_signature.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

namespace posthorse::mail {
namespace {

using Tags = std::map<std::string, std::string, std::less<>>;

constexpr std::array<std::string_view, 7> required{"v", "a", "b", "bh", "d", "h", "s"};
constexpr std::array<std::string_view, 3> numbers{"l", "t", "x"};

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_name_octet(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

std::string without_space(std::string_view text) {
    std::string out;
    std::ranges::copy_if(text, std::back_inserter(out), [](char c) { return !is_space(c); });
    return out;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

std::optional<Tags> parse_tags(std::string_view value) {
    Tags tags;
    while (!trimmed(value).empty()) {
        const auto end = std::min(value.find(';'), value.size());
        const auto tag = value.substr(0, end);
        value.remove_prefix(std::min(end + 1, value.size()));
        const auto equals = tag.find('=');
        if (equals == std::string_view::npos) return std::nullopt;
        const auto name = trimmed(tag.substr(0, equals));
        if (name.empty() || !std::ranges::all_of(name, is_name_octet)) return std::nullopt;
        if (!tags.emplace(name, without_space(tag.substr(equals + 1))).second) return std::nullopt;
    }
    return tags;
}

// RFC 6376 section 2.11: "=3B" and the like; nothing else begins with '='.
bool is_quoted_printable(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '=') continue;
        if (i + 2 >= text.size() || digits.find(text[i + 1]) == std::string_view::npos ||
            digits.find(text[i + 2]) == std::string_view::npos) {
            return false;
        }
    }
    return true;
}

bool is_number(std::string_view text) {
    return !text.empty() && text.size() <= 18 && std::ranges::all_of(text, is_digit);
}

std::string value_of(const Tags& tags, std::string_view name) {
    const auto found = tags.find(name);
    return found == tags.end() ? std::string() : found->second;
}

// Empty: nothing is wrong.
std::string fault(const Tags& tags) {
    for (const auto name : required) {
        if (value_of(tags, name).empty()) return "no " + std::string(name) + "=";
    }
    for (const auto name : numbers) {
        const auto found = tags.find(name);
        if (found == tags.end() || is_number(found->second)) continue;
        return std::string(name) + "= is no number";
    }
    if (!is_quoted_printable(value_of(tags, "i"))) return "i= is malformed";
    const auto names = value_of(tags, "h");
    if (std::ranges::count(names, ':') >= static_cast<std::ptrdiff_t>(dkim_signed_names_max)) {
        return "h= names too many fields";
    }
    return {};
}

}  // namespace

Result<DkimTags> parse_dkim_signature(std::string_view value) {
    const auto invalid = [](std::string what) { return Error{Errc::invalid, std::move(what)}; };
    if (value.size() > dkim_field_bytes_max) return invalid("too long");
    const bool printable =
        std::ranges::all_of(value, [](char c) { return is_space(c) || (c > ' ' && c < 0x7F); });
    if (!printable) return invalid("octets that may not stand in a signature");
    const auto tags = parse_tags(value);
    if (!tags) return invalid("no list of tags");
    if (auto wrong = fault(*tags); !wrong.empty()) return invalid(std::move(wrong));
    return DkimTags{value_of(*tags, "d"), value_of(*tags, "s"), value_of(*tags, "a"),
                    value_of(*tags, "b"), tags->contains("l")};
}

}  // namespace posthorse::mail
