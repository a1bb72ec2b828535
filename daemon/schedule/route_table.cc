#include "daemon/schedule/route_table.h"

#include <optional>

#include "daemon/config/table.h"
#include "daemon/runtime/idn.h"
#include "proto/types/destination.h"
#include "proto/types/reply.h"

namespace posthorse::schedule {
namespace {

constexpr std::string_view blanks = " \t\r";

// Empty: no name at all.
std::string folded(std::string_view name) {
    // A suffix is converted without its dot, which would be an empty label.
    const bool suffix = name.starts_with('.');
    const auto converted = runtime::to_a_labels(name.substr(suffix ? 1 : 0));
    if (!converted) return {};
    std::string domain = (suffix ? "." : "") + *converted;
    if (domain.size() > 1 && domain.ends_with('.')) domain.pop_back();
    return config::lower(domain);
}

bool is_route_key(std::string_view key) {
    if (key == ".") return true;
    if (key.starts_with('.')) key.remove_prefix(1);
    return !key.empty() && key.find("..") == std::string_view::npos && !key.starts_with('.') &&
           detail::host_characters(key, false);
}

// sendmail's names of SMTP mailers; delivery speaks ESMTP whenever the server does.
std::optional<Destination> parse_next_hop(std::string_view next_hop) {
    if (next_hop.starts_with("lmtp:")) return Destination::parse(next_hop);
    for (const std::string_view mailer : {"smtp:", "esmtp:", "relay:"}) {
        if (!next_hop.starts_with(mailer)) continue;
        return Destination::parse("smtp:" + std::string(next_hop.substr(mailer.size())));
    }
    return std::nullopt;
}

// Splits off the first word of `line`.
std::string_view take_word(std::string_view& line) {
    const auto begin = std::min(line.find_first_not_of(blanks), line.size());
    const auto end = std::min(line.find_first_of(blanks, begin), line.size());
    const auto word = line.substr(begin, end - begin);
    line.remove_prefix(end);
    return word;
}

}  // namespace

void RouteTable::add(const config::Route& route,
                     const std::string& file,
                     std::uint32_t line,
                     Problems& problems) {
    const auto skip = [&](std::string why) {
        problems.push_back({file, line, std::move(why), false});
    };
    const auto key = folded(route.domain);
    if (!is_route_key(key)) {
        return skip("'" + sanitise(route.domain) +
                    "' is no domain; write `example.org` or `.example.org`; route skipped");
    }
    const auto next_hop = parse_next_hop(route.next_hop);
    if (!next_hop) {
        return skip("'" + sanitise(route.next_hop) + "' is no next hop for " + key +
                    "; write `smtp:[host]:port`, `smtp:host`, `lmtp:[host]:port` or "
                    "`lmtp:unix:/path`; route skipped");
    }
    if (!routes_.emplace(key, next_hop->to_string()).second) {
        skip("a route for " + key + " was given before; this one is skipped");
    }
}

void RouteTable::add_mailertable(std::string_view text,
                                 const std::string& file,
                                 Problems& problems) {
    for (std::uint32_t line = 1; !text.empty(); ++line) {
        const auto end = std::min(text.find('\n'), text.size());
        auto row = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        row = row.substr(0, row.find('#'));
        const auto domain = take_word(row);
        const auto next_hop = take_word(row);
        const auto rest = take_word(row);
        if (domain.empty()) continue;
        if (next_hop.empty() || !rest.empty()) {
            problems.push_back({file, line,
                                "a row is two words, `domain` and `esmtp:[host]:port`; row skipped",
                                false});
            continue;
        }
        add({std::string(domain), std::string(next_hop)}, file, line, problems);
    }
}

RouteTable RouteTable::load(const config::Delivery& delivery, Problems& problems) {
    RouteTable table;
    for (const auto& route : delivery.routes) table.add(route, "delivery.routes", 0, problems);
    if (delivery.routes_file.empty()) return table;
    if (const auto text =
            config::read_table(delivery.routes_file, "delivery.routes_file", problems))
        table.add_mailertable(*text, delivery.routes_file, problems);
    return table;
}

const std::string* RouteTable::find(const std::string& domain) const {
    if (routes_.empty()) return nullptr;
    if (const auto exact = routes_.find(domain); exact != routes_.end()) return &exact->second;
    for (auto dot = domain.find('.'); dot != std::string::npos; dot = domain.find('.', dot + 1)) {
        const auto below = routes_.find(domain.substr(dot));
        if (below != routes_.end()) return &below->second;
    }
    const auto all = routes_.find(".");
    return all == routes_.end() ? nullptr : &all->second;
}

std::string RouteTable::destination_of(std::string_view address) const {
    const auto at = address.rfind('@');
    if (at == std::string_view::npos) return "mx:";
    const auto domain = folded(address.substr(at + 1));
    if (const auto* next_hop = find(domain)) return *next_hop;
    // What is no host name or literal, a port from a stranger included, has nowhere to go. An IPv6
    // literal's tag is dropped, so that one host has one name (RFC 5321 section 4.1.3).
    const auto plain = Destination::parse("mx:" + domain);
    return plain && plain->port == 0 ? plain->to_string() : "mx:";
}

}  // namespace posthorse::schedule
