#include "proto/smtp/address.h"

#include <algorithm>

#include "proto/smtp/command.h"
#include "proto/types/utf8.h"

namespace posthorse::smtp {

namespace {

constexpr std::size_t local_part_bytes_max = 64;
constexpr std::size_t domain_bytes_max = 255;
constexpr std::size_t path_bytes_max = 256;
constexpr std::size_t label_bytes_max = 63;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_let_dig(char c) {
    return is_letter(c) || is_digit(c);
}
bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_atext(char c) {
    constexpr std::string_view specials = "!#$%&'*+-/=?^_`{|}~";
    return is_let_dig(c) || specials.find(c) != std::string_view::npos;
}

bool is_printable(char c) {
    return c >= 32 && c < 127;
}

// RFC 6531 section 3.3: characters beyond ASCII may stand wherever a letter may.
bool is_beyond_ascii(char c, Charset charset) {
    return charset == Charset::utf8 && static_cast<unsigned char>(c) > 127;
}

bool is_dot_string(std::string_view text, Charset charset) {
    bool atom_open = false;
    for (const char c : text) {
        const bool in_atom = is_atext(c) || is_beyond_ascii(c, charset);
        if (c == '.' ? !atom_open : !in_atom) return false;
        atom_open = c != '.';
    }
    return atom_open;
}

// The octets of the quoted string at the front of `text`, quotes included; 0: there is none.
std::size_t quoted_length(std::string_view text, Charset charset) {
    if (!text.starts_with('"')) return 0;
    for (std::size_t at = 1; at < text.size(); ++at) {
        if (text[at] == '"') return at + 1;
        if (text[at] == '\\') ++at;
        if (at >= text.size()) return 0;
        if (!is_printable(text[at]) && !is_beyond_ascii(text[at], charset)) return 0;
    }
    return 0;
}

bool is_label(std::string_view label, Charset charset) {
    // An underscore breaks RFC 1035's advice and is seen in mail that people want delivered.
    const auto inside = [charset](char c) {
        return is_let_dig(c) || c == '-' || c == '_' || is_beyond_ascii(c, charset);
    };
    // Of a U-label only the form that the DNS knows has a bound.
    return !label.empty() && (label.size() <= label_bytes_max || !is_ascii(label)) &&
           std::ranges::all_of(label, inside) && label.front() != '-' && label.back() != '-';
}

bool is_ipv4(std::string_view text) {
    for (int part = 0; part < 4; ++part) {
        const auto end = std::min(text.find('.'), text.size());
        const auto digits = text.substr(0, end);
        if (digits.empty() || digits.size() > 3 || !std::ranges::all_of(digits, is_digit))
            return false;
        int value = 0;
        for (const char c : digits) value = value * 10 + (c - '0');
        if (value > 255) return false;
        text.remove_prefix(end);
        if (part < 3) {
            if (text.empty()) return false;
            text.remove_prefix(1);
        }
    }
    return text.empty();
}

// How many 16-bit groups "a:b:1.2.3.4" stands for; -1: it is none. An empty text stands for none.
int count_groups(std::string_view text) {
    int groups = 0;
    while (!text.empty()) {
        const auto end = std::min(text.find(':'), text.size());
        const auto group = text.substr(0, end);
        if (end == text.size() && group.find('.') != std::string_view::npos) {
            return is_ipv4(group) ? groups + 2 : -1;
        }
        if (group.empty() || group.size() > 4 || !std::ranges::all_of(group, is_hex)) return -1;
        ++groups;
        text.remove_prefix(end);
        if (text == ":") return -1;
        if (!text.empty()) text.remove_prefix(1);
    }
    return groups;
}

bool is_ipv6(std::string_view text) {
    const auto gap = text.find("::");
    if (gap == std::string_view::npos) return count_groups(text) == 8;
    const auto front = text.substr(0, gap);
    if (front.find('.') != std::string_view::npos) return false;
    const int before = count_groups(front);
    const int after = count_groups(text.substr(gap + 2));
    return before >= 0 && after >= 0 && before + after <= 7;
}

struct Mailbox {
    std::size_t length = 0;
    PathFault fault = PathFault::none;
};

Mailbox fault_at(PathFault fault) {
    return {.length = 0, .fault = fault};
}

std::size_t local_part_length(std::string_view text, Charset charset) {
    if (text.starts_with('"')) return quoted_length(text, charset);
    const auto end = std::min(text.find_first_of("@>"), text.size());
    return is_dot_string(text.substr(0, end), charset) ? end : 0;
}

// The mailbox at the front of `text`, up to '>' or the end.
Mailbox scan_mailbox(std::string_view text, PathKind kind, Charset charset) {
    const auto local = local_part_length(text, charset);
    if (local == 0) return fault_at(PathFault::syntax);
    if (local > local_part_bytes_max) return fault_at(PathFault::local_part_too_long);
    const auto rest = text.substr(local);
    if (rest.empty() || rest.front() == '>') {
        const bool bare_allowed =
            kind == PathKind::forward && equal_ignoring_case(text.substr(0, local), "postmaster");
        return bare_allowed ? Mailbox{local, PathFault::none} : fault_at(PathFault::syntax);
    }
    if (rest.front() != '@') return fault_at(PathFault::syntax);
    const auto domain = rest.substr(1, std::min(rest.find('>'), rest.size()) - 1);
    if (domain.size() > domain_bytes_max) return fault_at(PathFault::domain_too_long);
    if (!is_domain(domain, charset) && !is_address_literal(domain)) {
        return fault_at(PathFault::syntax);
    }
    const auto length = local + 1 + domain.size();
    if (!is_harmless_utf8(text.substr(0, length))) return fault_at(PathFault::syntax);
    return {.length = length};
}

// RFC 5321 section 4.1.2, A-d-l: "@one,@two:" at the front. npos: it begins one and is malformed.
std::size_t source_route_length(std::string_view text, Charset charset) {
    if (!text.starts_with('@')) return 0;
    const auto colon = std::min(text.find(':'), text.find('>'));
    if (colon == std::string_view::npos || text[colon] != ':') return std::string_view::npos;
    auto route = text.substr(0, colon);
    while (!route.empty()) {
        const auto end = std::min(route.find(','), route.size());
        const auto hop = route.substr(0, end);
        if (!hop.starts_with('@') || !is_domain(hop.substr(1), charset))
            return std::string_view::npos;
        route.remove_prefix(end);
        if (route == ",") return std::string_view::npos;
        if (!route.empty()) route.remove_prefix(1);
    }
    return colon + 1;
}

Path fault_of(PathFault fault) {
    return {.fault = fault};
}

}  // namespace

Path parse_path(std::string_view text, PathKind kind, Charset charset) {
    if (!text.starts_with('<')) return fault_of(PathFault::syntax);
    if (text.starts_with("<>")) {
        if (kind == PathKind::forward) return fault_of(PathFault::syntax);
        return {.mailbox = text.substr(1, 0), .length = 2};
    }
    const auto route = source_route_length(text.substr(1), charset);
    if (route == std::string_view::npos) return fault_of(PathFault::syntax);
    const auto inside = text.substr(1 + route);
    const auto mailbox = scan_mailbox(inside, kind, charset);
    if (mailbox.fault != PathFault::none) {
        const bool eight_bit = charset == Charset::ascii && !is_ascii(text);
        return fault_of(eight_bit ? PathFault::eight_bit : mailbox.fault);
    }
    if (inside.size() == mailbox.length) return fault_of(PathFault::syntax);
    const auto length = 1 + route + mailbox.length + 1;
    if (length > path_bytes_max) return fault_of(PathFault::path_too_long);
    return {.mailbox = inside.substr(0, mailbox.length), .length = length};
}

bool is_mailbox(std::string_view mailbox, PathKind kind, Charset charset) {
    if (mailbox.empty()) return kind == PathKind::reverse;
    const auto scanned = scan_mailbox(mailbox, kind, charset);
    return scanned.fault == PathFault::none && scanned.length == mailbox.size() &&
           mailbox.size() + 2 <= path_bytes_max;
}

std::string_view domain_of(std::string_view mailbox) {
    const auto at = mailbox.rfind('@');
    return at == std::string_view::npos ? std::string_view{} : mailbox.substr(at + 1);
}

std::string_view local_part_of(std::string_view mailbox) {
    return mailbox.substr(0, mailbox.rfind('@'));
}

bool is_domain(std::string_view text, Charset charset) {
    while (true) {
        const auto dot = text.find('.');
        if (!is_label(text.substr(0, dot), charset)) return false;
        if (dot == std::string_view::npos) return true;
        text.remove_prefix(dot + 1);
    }
}

bool is_address_literal(std::string_view text) {
    if (text.size() < 2 || text.front() != '[' || text.back() != ']') return false;
    text = text.substr(1, text.size() - 2);
    if (const auto ipv6 = after_keyword(text, "IPv6:")) return is_ipv6(*ipv6);
    return is_ipv4(text);
}

}  // namespace posthorse::smtp
