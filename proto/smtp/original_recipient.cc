#include "proto/smtp/original_recipient.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "proto/smtp/command.h"
#include "proto/smtp/xtext.h"
#include "proto/types/utf8.h"

namespace posthorse::smtp {

namespace {

bool is_control(char c) {
    return (c >= 0 && c < 32) || c == 127;
}

bool is_printable(std::string_view text) {
    return is_ascii(text) && std::ranges::none_of(text, is_control);
}

// RFC 5322 section 3.2.3, as the name of an address type.
bool is_atom(std::string_view text) {
    static constexpr std::string_view specials = "()<>[]:;@\\,.\"";
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return c > 32 && c < 127 && specials.find(c) == std::string_view::npos;
    });
}

void append_utf8(char32_t c, std::string& out) {
    const auto put = [&out](char32_t octet) { out += static_cast<char>(octet); };
    const auto tail = [&](unsigned shift) { put(0x80 | (c >> shift & 0x3F)); };
    if (c < 0x80) return put(c);
    if (c < 0x800) {
        put(0xC0 | c >> 6);
    } else if (c < 0x10000) {
        put(0xE0 | c >> 12);
        tail(6);
    } else {
        put(0xF0 | c >> 18);
        tail(12);
        tail(6);
    }
    tail(0);
}

// "\x{2B}" at the front of `text`: takes it off. RFC 6533 section 3, EmbeddedUnicodeChar.
bool take_embedded(std::string_view& text, std::string& out) {
    const auto end = text.find('}');
    if (!text.starts_with("\\x{") || end == std::string_view::npos) return false;
    const auto digits = text.substr(3, end - 3);
    const bool hex = digits.find_first_not_of("0123456789ABCDEF") == std::string_view::npos;
    std::uint32_t point = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), point, 16);
    if (!hex || digits.size() < 2 || digits.size() > 6 || parsed.ec != std::errc{}) return false;
    if (point < 32 || point == 127 || point > 0x10FFFF) return false;
    append_utf8(point, out);
    text.remove_prefix(end + 1);
    return true;
}

std::optional<std::string> decode_utf8_address(std::string_view text) {
    std::string address;
    while (!text.empty()) {
        const auto c = text.front();
        if (c == '\\') {
            if (!take_embedded(text, address)) return std::nullopt;
            continue;
        }
        if (c == '+' || c == '=' || c == ' ' || is_control(c)) return std::nullopt;
        address += c;
        text.remove_prefix(1);
    }
    if (!is_harmless_utf8(address)) return std::nullopt;
    return address;
}

}  // namespace

std::optional<OriginalRecipient> parse_original_recipient(std::string_view parameter) {
    const auto semicolon = parameter.find(';');
    if (parameter.size() > original_recipient_bytes_max || semicolon == std::string_view::npos) {
        return std::nullopt;
    }
    const auto type = parameter.substr(0, semicolon);
    const auto encoded = parameter.substr(semicolon + 1);
    if (!is_atom(type) || encoded.empty()) return std::nullopt;
    const bool utf8 = equal_ignoring_case(type, "utf-8");
    auto address = utf8 ? decode_utf8_address(encoded) : decode_xtext(encoded);
    if (!address) return std::nullopt;
    if (utf8 || is_printable(*address)) {
        return OriginalRecipient{std::string(type), std::move(*address)};
    }
    // Postfix says "rfc822" of an address beyond ASCII, too, and writes its UTF-8 in xtext.
    const bool harmless = std::ranges::none_of(*address, is_control) && is_harmless_utf8(*address);
    if (!equal_ignoring_case(type, "rfc822") || !harmless) return std::nullopt;
    return OriginalRecipient{"utf-8", std::move(*address)};
}

std::string as_ascii_parameter(std::string_view parameter) {
    std::string text;
    while (!parameter.empty()) {
        const auto length = std::max<std::size_t>(utf8_length(parameter), 1);
        if (length == 1) {
            text += parameter.front();
        } else {
            std::array<char, 8> digits{};
            const auto point = static_cast<std::uint32_t>(utf8_front(parameter));
            const auto end = std::to_chars(digits.begin(), digits.end(), point, 16).ptr;
            std::transform(digits.begin(), end, digits.begin(),
                           [](char c) { return c >= 'a' ? static_cast<char>(c - 32) : c; });
            text += "\\x{";
            text.append(digits.data(), end);
            text += '}';
        }
        parameter.remove_prefix(length);
    }
    return text;
}

}  // namespace posthorse::smtp
