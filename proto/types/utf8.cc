#include "proto/types/utf8.h"

#include <algorithm>

#include "proto/types/assert.h"
#include "proto/types/reply.h"

namespace posthorse {
namespace {

std::size_t octet_at(std::string_view text, std::size_t at) {
    return static_cast<unsigned char>(text[at]);
}

// The octets that the first one announces; 0: none begins so.
std::size_t announced(std::size_t first) {
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first < 0xE0) return 2;
    if (first >= 0xE0 && first < 0xF0) return 3;
    if (first >= 0xF0 && first < 0xF5) return 4;
    return 0;
}

// RFC 3629 section 4: what may follow the first octet is narrower behind these four.
bool second_fits(std::size_t first, std::size_t second) {
    if (first == 0xE0) return second >= 0xA0;
    if (first == 0xED) return second < 0xA0;
    if (first == 0xF0) return second >= 0x90;
    if (first == 0xF4) return second < 0x90;
    return true;
}

// Would change how a terminal or a reader shows what stands beside it.
bool is_unsafe(char32_t c) {
    const bool control = c >= 0x80 && c < 0xA0;
    const bool line_end = c == 0x2028 || c == 0x2029;
    const bool direction =
        c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    return control || line_end || direction;
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
    if (text.empty()) return 0;
    const auto first = octet_at(text, 0);
    const auto length = announced(first);
    if (length == 0 || length > text.size()) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((octet_at(text, i) & 0xC0) != 0x80) return 0;
    }
    return length < 2 || second_fits(first, octet_at(text, 1)) ? length : 0;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const auto length = utf8_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

bool is_harmless_utf8(std::string_view text) {
    while (!text.empty()) {
        const auto length = utf8_length(text);
        if (length == 0 || is_unsafe(utf8_front(text))) return false;
        text.remove_prefix(length);
    }
    return true;
}

char32_t utf8_front(std::string_view text) {
    const auto length = utf8_length(text);
    PH_ASSERT(length > 0);
    if (length == 1) return static_cast<char32_t>(octet_at(text, 0));
    auto character = static_cast<char32_t>(octet_at(text, 0) & (0x7Fu >> length));
    for (std::size_t i = 1; i < length; ++i) {
        character = character << 6 | static_cast<char32_t>(octet_at(text, i) & 0x3F);
    }
    return character;
}

std::string sanitise_utf8(std::string_view text, std::size_t bytes_max) {
    std::string safe;
    while (!text.empty()) {
        const auto length = utf8_length(text);
        const auto taken = text.substr(0, std::max<std::size_t>(length, 1));
        const bool shown = length > 1 && !is_unsafe(utf8_front(text));
        const auto piece = shown ? std::string(taken) : length > 1 ? "?" : sanitise(taken);
        if (safe.size() + piece.size() > bytes_max) break;
        safe += piece;
        text.remove_prefix(taken.size());
    }
    return safe;
}

}  // namespace posthorse
