// UTF-8 (RFC 3629), as addresses and header fields may hold it (RFC 6531, RFC 6532).
//
// Contract  Strict: no overlong form, no surrogate, nothing beyond U+10FFFF. No locale takes part.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace posthorse {

// Whole bodies are asked: without a way out of the loop it runs at many octets a step.
inline bool is_ascii(std::string_view text) {
    unsigned octets = 0;
    for (const char c : text) octets |= static_cast<unsigned char>(c);
    return octets < 0x80;
}

// The octets of the character at the front of `text`; 0: it is empty, or none stands there.
std::size_t utf8_length(std::string_view text);

bool is_utf8(std::string_view text);

// UTF-8 without the characters that sanitise_utf8() would not show.
bool is_harmless_utf8(std::string_view text);

// As sanitise() of reply.h, but characters beyond ASCII stay. Those that are controls (U+0080 to
// U+009F), end a line or turn the direction of what follows become '?'.
std::string sanitise_utf8(std::string_view text, std::size_t bytes_max = 512);

// The character at the front of `text`, which begins with one.
char32_t utf8_front(std::string_view text);

}  // namespace posthorse
