#include "daemon/config/join_entry.h"

#include <algorithm>
#include <charconv>

#include "daemon/config/validate.h"

namespace posthorse::config {
namespace {

using Kind = JoinEntry::Kind;

struct Parts {
    std::string_view name;
    std::string_view port;  // with its colon; empty: none
};

// An IPv6 address has colons of its own: with a port it stands in brackets.
std::optional<Parts> split(std::string_view text) {
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        return Parts{text.substr(1, end - 1), text.substr(end + 1)};
    }
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || colon != text.rfind(':')) return Parts{text, {}};
    return Parts{text.substr(0, colon), text.substr(colon)};
}

std::optional<std::uint16_t> port_of(std::string_view text) {
    std::uint16_t port = 0;
    const auto* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data() + 1, last, port);
    const bool whole = text.starts_with(':') && error == std::errc{} && end == last && port != 0;
    return whole ? std::optional(port) : std::nullopt;
}

// A name's last label has a letter (RFC 1123 section 2.1): "192.0.2.256" is a mistyped address.
bool is_host(std::string_view name) {
    const auto last = name.substr(name.rfind('.') + 1);  // npos + 1 is 0
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    return is_domain(name) && !std::all_of(last.begin(), last.end(), digit);
}

// RFC 2782: _service._protocol.name.
bool is_service(std::string_view name) {
    const auto protocol = name.find("._");
    return name.starts_with('_') && protocol != std::string_view::npos && protocol > 1 &&
           name.find('.', protocol + 1) != std::string_view::npos && is_host(name);
}

std::optional<Kind> kind_of(std::string_view text, std::string_view name) {
    const bool bracketed = text.starts_with('[');
    const bool v6 = name.find(':') != std::string_view::npos;
    if (is_ip_address(std::string(name)) && (v6 || !bracketed)) return Kind::address;
    if (bracketed) return std::nullopt;
    if (name.starts_with('_'))
        return is_service(name) ? std::optional(Kind::service) : std::nullopt;
    return is_host(name) ? std::optional(Kind::host) : std::nullopt;
}

}  // namespace

std::optional<JoinEntry> parse_join_entry(std::string_view text) {
    auto parts = split(text);
    if (!parts) return std::nullopt;
    if (parts->name.ends_with('.')) parts->name.remove_suffix(1);
    const auto kind = kind_of(text, parts->name);
    if (!kind) return std::nullopt;
    JoinEntry entry{*kind, std::string(parts->name), 0};
    if (parts->port.empty()) return entry;
    const auto port = port_of(parts->port);
    if (!port || *kind == Kind::service) return std::nullopt;
    entry.port = *port;
    return entry;
}

}  // namespace posthorse::config
