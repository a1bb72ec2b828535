#include "proto/mail/header.h"

#include <algorithm>
#include <optional>

#include "proto/types/reply.h"

namespace posthorse::mail {

namespace {

bool is_wsp(char c) {
    return c == ' ' || c == '\t';
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// The length of the first line of `text`, with its line end.
std::size_t line_length(std::string_view text) {
    const auto lf = text.find('\n');
    return lf == std::string_view::npos ? text.size() : lf + 1;
}

std::string_view without_line_end(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

// With the folded lines that follow it.
std::size_t field_length(std::string_view text) {
    auto length = line_length(text);
    while (length < text.size() && is_wsp(text[length])) length += line_length(text.substr(length));
    return length;
}

bool is_name_octet(char c) {
    return c > 32 && c < 127 && c != ':';
}

std::optional<Field> make_field(std::string_view raw) {
    const auto colon = raw.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    auto name = raw.substr(0, colon);
    // RFC 5322 section 4.5.1, obsolete syntax: white space before the colon.
    while (!name.empty() && is_wsp(name.back())) name.remove_suffix(1);
    if (name.empty() || !std::ranges::all_of(name, is_name_octet)) return std::nullopt;
    return Field{.raw = raw, .name = name, .value = without_line_end(raw.substr(colon + 1))};
}

}  // namespace

const Field* Header::find(std::string_view name) const {
    const auto found = std::ranges::find_if(
        fields, [name](const Field& field) { return equal_ignoring_case(field.name, name); });
    return found == fields.end() ? nullptr : &*found;
}

std::size_t Header::count(std::string_view name) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        fields, [name](const Field& field) { return equal_ignoring_case(field.name, name); }));
}

Header parse_header(std::string_view text, const HeaderLimits& limits) {
    Header header;
    while (header.length < text.size()) {
        const auto rest = text.substr(header.length);
        if (without_line_end(rest.substr(0, line_length(rest))).empty()) {
            header.end = HeaderEnd::empty_line;
            return header;
        }
        const auto field = make_field(rest.substr(0, field_length(rest)));
        if (!field) {
            header.end = HeaderEnd::body_line;
            return header;
        }
        if (header.fields.size() == limits.fields_max ||
            header.length + field->raw.size() > limits.bytes_max) {
            header.end = HeaderEnd::limit;
            return header;
        }
        header.length += field->raw.size();
        header.fields.push_back(*field);
    }
    return header;
}

std::size_t find_body(std::string_view text, std::size_t from) {
    if (text.starts_with("\r\n")) return 2;
    constexpr std::string_view empty_line = "\r\n\r\n";
    // The mark may have begun before the last look ended.
    const auto found = text.find(empty_line, from - std::min(from, empty_line.size() - 1));
    return found == std::string_view::npos ? found : found + empty_line.size();
}

std::string unfold(std::string_view value) {
    std::string line;
    for (const char c : value) {
        if (c != '\r' && c != '\n') line += c;
    }
    const auto first = std::min(line.find_first_not_of(" \t"), line.size());
    line.erase(0, first);
    line.erase(line.find_last_not_of(" \t") + 1);
    return line;
}

std::string message_id(const Header& header) {
    const auto* field = header.find("Message-ID");
    return field == nullptr ? std::string{} : sanitise(unfold(field->value));
}

std::size_t count_received(const Header& header) {
    return header.count("Received");
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace posthorse::mail
