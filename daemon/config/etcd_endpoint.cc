#include "daemon/config/etcd_endpoint.h"

#include "daemon/config/join_entry.h"

namespace posthorse::config {

std::string EtcdEndpoint::address() const {
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

std::optional<EtcdEndpoint> parse_etcd_endpoint(std::string_view text) {
    constexpr std::string_view with_tls = "https://";
    constexpr std::string_view without = "http://";
    EtcdEndpoint endpoint{.tls = text.starts_with(with_tls), .host = {}};
    if (!endpoint.tls && !text.starts_with(without)) return std::nullopt;
    text.remove_prefix(endpoint.tls ? with_tls.size() : without.size());
    if (text.ends_with('/')) text.remove_suffix(1);  // as etcd's own tools write them
    const auto entry = parse_join_entry(text);
    if (!entry || entry->kind == JoinEntry::Kind::service) return std::nullopt;
    endpoint.host = entry->name;
    if (entry->port != 0) endpoint.port = entry->port;
    return endpoint;
}

}  // namespace posthorse::config
