// Where mail goes next, as the text that names per-destination queues, and taken apart.
//
//   mx:example.org              the domain's MX hosts
//   mx:[192.0.2.1]              an address literal of a recipient (RFC 5321 section 4.1.3)
//   smtp:[mail.example.org]:26  a static route to that host; brackets: its addresses, no MX
//   smtp:example.org            a static route to the MX hosts of another domain
//   lmtp:[mail.example.org]:24  a static route to a host that delivers to mailboxes (RFC 2033)
//   lmtp:unix:/run/lmtp         the same on this machine
//
// Contract  parse() takes what it prints and refuses everything else; host names are lower case.
//           LMTP has no port of its own, and never that of SMTP (RFC 2033 section 5): it is stated.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace posthorse {

enum class Protocol : std::uint8_t { smtp, lmtp };

struct Destination {
    std::string host;        // domain, host name or address, without brackets; or a path
    bool exact = false;      // in brackets: `host` itself, not its MX hosts
    bool routed = false;     // an operator's static route names it
    std::uint16_t port = 0;  // 0: the default
    Protocol protocol = Protocol::smtp;
    bool local = false;  // `host` is the path of a Unix socket

    bool operator==(const Destination&) const = default;
    std::string to_string() const;
    static std::optional<Destination> parse(std::string_view text);
};

inline std::string Destination::to_string() const {
    if (local) return "lmtp:unix:" + host;
    std::string text = protocol == Protocol::lmtp ? "lmtp:" : routed ? "smtp:" : "mx:";
    text += exact ? '[' + host + ']' : host;
    if (port != 0) text += ':' + std::to_string(port);
    return text;
}

namespace detail {

// 1..65535 in decimal digits.
inline std::optional<std::uint16_t> parse_port(std::string_view digits) {
    if (digits.empty() || digits.size() > 5) return std::nullopt;
    std::uint32_t value = 0;
    for (const char c : digits) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + static_cast<std::uint32_t>(c - '0');
    }
    if (value == 0 || value > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(value);
}

// Letters, digits and what names, addresses and zones hold; `colons` when in brackets.
inline bool host_characters(std::string_view host, bool colons) {
    for (const char c : host) {
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
        if (!plain && !(colons && c == ':')) return false;
    }
    return true;
}

// As long as a socket's address may be (unix(7), sun_path), and without what separates words.
inline bool is_socket_path(std::string_view path) {
    constexpr std::size_t path_bytes_max = 107;
    if (!path.starts_with('/') || path.size() > path_bytes_max) return false;
    return std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < '\x7F'; });
}

}  // namespace detail

inline std::optional<Destination> Destination::parse(std::string_view text) {
    constexpr std::string_view unix = "lmtp:unix:";
    Destination to;
    if (text.starts_with("lmtp:")) to.protocol = Protocol::lmtp;
    to.routed = text.starts_with("smtp:") || to.protocol == Protocol::lmtp;
    if (text.starts_with(unix)) {
        to.host = text.substr(unix.size());
        to.local = to.exact = true;
        return detail::is_socket_path(to.host) ? std::optional(to) : std::nullopt;
    }
    if (!to.routed && !text.starts_with("mx:")) return std::nullopt;
    text.remove_prefix(to.routed ? 5 : 3);
    to.exact = text.starts_with('[');
    const auto host_end = to.exact ? text.find(']') : text.find(':');
    if (to.exact && host_end == std::string_view::npos) return std::nullopt;
    for (const char c : text.substr(to.exact, host_end - to.exact)) {
        to.host += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    if (to.exact && to.host.starts_with("ipv6:")) to.host.erase(0, 5);
    if (to.host.empty() || !detail::host_characters(to.host, to.exact)) return std::nullopt;
    text.remove_prefix(std::min(text.size(), host_end + to.exact));
    if (to.protocol == Protocol::lmtp && (!to.exact || text.empty())) return std::nullopt;
    if (text.empty()) return to;
    const auto port = text.starts_with(':') ? detail::parse_port(text.substr(1)) : std::nullopt;
    if (!port) return std::nullopt;
    to.port = *port;
    return to;
}

}  // namespace posthorse
