#include "proto/smtp/base64.h"

#include <cstdint>

namespace posthorse::smtp {

namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
    std::string octets;
    std::uint32_t bits = 0;
    unsigned bit_count = 0;
    for (const char c : text.substr(0, text.size() - padding)) {
        const auto value = alphabet.find(c);
        if (value == std::string_view::npos) return std::nullopt;
        bits = bits << 6 | static_cast<std::uint32_t>(value);
        bit_count += 6;
        if (bit_count < 8) continue;
        bit_count -= 8;
        octets += static_cast<char>(bits >> bit_count & 0xFF);
        bits &= (1u << bit_count) - 1;
    }
    if (bits != 0) return std::nullopt;
    return octets;
}

std::string encode_base64(std::string_view octets) {
    std::string text;
    std::uint32_t bits = 0;
    unsigned bit_count = 0;
    for (const char c : octets) {
        bits = bits << 8 | static_cast<unsigned char>(c);
        bit_count += 8;
        for (; bit_count >= 6; bit_count -= 6) text += alphabet[bits >> (bit_count - 6) & 63];
    }
    if (bit_count > 0) text += alphabet[bits << (6 - bit_count) & 63];
    text.append((4 - text.size() % 4) % 4, '=');
    return text;
}

}  // namespace posthorse::smtp
