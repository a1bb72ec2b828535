#include "daemon/verify/spf_macro.h"

#include <algorithm>
#include <vector>

#include "daemon/config/table.h"
#include "proto/types/assert.h"

namespace posthorse::verify {
namespace {

constexpr std::size_t name_bytes_max = 253;
constexpr std::string_view letters = "slodiphv";
constexpr std::string_view delimiters = ".-+,/_=";

// One piece of a macro string: text that stands for itself, or a macro.
struct Piece {
    char letter = 0;           // lower case; 0: `literal`
    std::string_view literal;  // with '%' and blanks as they are meant
    bool escapes = false;      // the letter was upper case
    bool reversed = false;
    std::size_t labels = 0;  // how many from the right stay; 0: all
    std::string_view separators = ".";
    std::size_t length = 0;  // of its text
};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The macro that begins with "%{" at the front of `text`.
std::optional<Piece> parse_macro(std::string_view text) {
    const auto end = text.find('}');
    if (end == std::string_view::npos || end < 3) return std::nullopt;
    Piece piece;
    piece.length = end + 1;
    piece.letter = config::lower(text[2]);
    piece.escapes = piece.letter != text[2];
    if (letters.find(piece.letter) == std::string_view::npos) return std::nullopt;
    auto rest = text.substr(3, end - 3);
    const bool counted = !rest.empty() && is_digit(rest.front());
    while (!rest.empty() && is_digit(rest.front())) {
        const auto digit = static_cast<std::size_t>(rest.front() - '0');
        piece.labels = std::min<std::size_t>(1000, piece.labels * 10 + digit);
        rest.remove_prefix(1);
    }
    if (counted && piece.labels == 0) return std::nullopt;
    if (!rest.empty() && (rest.front() == 'r' || rest.front() == 'R')) {
        piece.reversed = true;
        rest.remove_prefix(1);
    }
    if (rest.find_first_not_of(delimiters) != std::string_view::npos) return std::nullopt;
    if (!rest.empty()) piece.separators = rest;
    return piece;
}

std::optional<Piece> parse_piece(std::string_view text) {
    Piece piece;
    if (text.front() != '%') {
        if (text.front() <= ' ' || text.front() > '~') return std::nullopt;
        piece.literal = text.substr(0, 1);
        piece.length = 1;
        return piece;
    }
    if (text.size() < 2) return std::nullopt;
    if (text[1] == '{') return parse_macro(text);
    piece.length = 2;
    switch (text[1]) {
        case '%':
            piece.literal = "%";
            return piece;
        case '_':
            piece.literal = " ";
            return piece;
        case '-':
            piece.literal = "%20";
            return piece;
        default:
            return std::nullopt;
    }
}

// Calls `take` for each piece; false: `text` is no macro string.
template <class Take>
bool for_each_piece(std::string_view text, Take take) {
    while (!text.empty()) {
        const auto piece = parse_piece(text);
        if (!piece) return false;
        take(*piece);
        text.remove_prefix(piece->length);
    }
    return true;
}

// Section 7.3: "192.0.2.3", and IPv6 as its nibbles with dots between.
std::string dotted(const IpAddress& address) {
    constexpr std::string_view hex = "0123456789abcdef";
    std::string text;
    const bool four = address.family == IpAddress::Family::v4;
    for (std::size_t i = 0; i < (four ? 4u : 16u); ++i) {
        const unsigned octet = address.octets[i];
        if (!text.empty()) text += '.';
        if (four) {
            text += std::to_string(octet);
        } else {
            ((text += hex[octet >> 4]) += '.') += hex[octet & 15];
        }
    }
    return text;
}

std::string value_of(char letter, const SpfMacroFacts& facts) {
    switch (letter) {
        case 's':
            return facts.local_part + '@' + facts.sender_domain;
        case 'l':
            return facts.local_part;
        case 'o':
            return facts.sender_domain;
        case 'd':
            return facts.domain;
        case 'i':
            return dotted(facts.client);
        case 'p':
            return facts.validated_name;
        case 'h':
            return facts.helo;
        default:
            PH_ASSERT(letter == 'v');
            return facts.client.family == IpAddress::Family::v4 ? "in-addr" : "ip6";
    }
}

std::vector<std::string> split(const std::string& text, std::string_view separators) {
    std::vector<std::string> parts{{}};
    for (const char c : text) {
        if (separators.find(c) != std::string_view::npos) {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

// RFC 3986 section 2.3: what needs no escape.
std::string escaped(const std::string& text) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
                           std::string_view("-._~").find(c) != std::string_view::npos;
        const auto octet = static_cast<unsigned char>(c);
        if (plain) {
            out += c;
        } else {
            ((out += '%') += hex[octet >> 4]) += hex[octet & 15];
        }
    }
    return out;
}

std::string expand(const Piece& piece, const SpfMacroFacts& facts) {
    auto parts = split(value_of(piece.letter, facts), piece.separators);
    if (piece.reversed) std::ranges::reverse(parts);
    if (piece.labels > 0 && piece.labels < parts.size()) {
        parts.erase(parts.begin(), parts.end() - static_cast<std::ptrdiff_t>(piece.labels));
    }
    auto text = std::move(parts.front());
    for (std::size_t i = 1; i < parts.size(); ++i) (text += '.') += parts[i];
    return piece.escapes ? escaped(text) : text;
}

// Octets that a question to the DNS can be asked with as they stand.
bool is_name_octet(char c) {
    return c >= ' ' && c <= '~' && c != '\\' && c != '"';
}

}  // namespace

bool is_macro_string(std::string_view text) {
    return for_each_piece(text, [](const Piece&) {});
}

bool ends_in_macro(std::string_view text) {
    Piece last;
    for_each_piece(text, [&](const Piece& piece) { last = piece; });
    return last.letter != 0;
}

bool names_validated_host(std::string_view text) {
    bool named = false;
    for_each_piece(text, [&](const Piece& piece) { named = named || piece.letter == 'p'; });
    return named;
}

std::optional<std::string> expand_domain(std::string_view text, const SpfMacroFacts& facts) {
    std::string name;
    for_each_piece(text, [&](const Piece& piece) {
        name += piece.letter != 0 ? expand(piece, facts) : std::string(piece.literal);
    });
    if (name.ends_with('.')) name.pop_back();
    if (!std::ranges::all_of(name, is_name_octet)) return std::nullopt;
    while (name.size() > name_bytes_max) {
        const auto dot = name.find('.');
        if (dot == std::string::npos) return std::nullopt;
        name.erase(0, dot + 1);
    }
    return config::lower(name);
}

}  // namespace posthorse::verify
