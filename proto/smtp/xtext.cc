#include "proto/smtp/xtext.h"

namespace posthorse::smtp {

namespace {

constexpr std::string_view upper_hex = "0123456789ABCDEF";

// RFC 3461 section 4: printable, neither "+" nor "=".
bool is_xchar(char c) {
    return c > 32 && c < 127 && c != '+' && c != '=';
}

}  // namespace

std::optional<std::string> decode_xtext(std::string_view text) {
    std::string octets;
    while (!text.empty()) {
        if (text.front() != '+') {
            if (!is_xchar(text.front())) return std::nullopt;
            octets += text.front();
            text.remove_prefix(1);
            continue;
        }
        if (text.size() < 3) return std::nullopt;
        const auto high = upper_hex.find(text[1]);
        const auto low = upper_hex.find(text[2]);
        if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
        octets += static_cast<char>(high * 16 + low);
        text.remove_prefix(3);
    }
    return octets;
}

std::string encode_xtext(std::string_view octets) {
    std::string text;
    for (const char c : octets) {
        if (is_xchar(c)) {
            text += c;
            continue;
        }
        const auto octet = static_cast<unsigned char>(c);
        text += '+';
        text += upper_hex[octet / 16];
        text += upper_hex[octet % 16];
    }
    return text;
}

}  // namespace posthorse::smtp
