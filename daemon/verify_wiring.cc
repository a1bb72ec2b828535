#include "daemon/verify_wiring.h"

#include <algorithm>

namespace posthorse {

std::unique_ptr<verify::Verifier> make_verifier(const config::Config& config,
                                                const std::vector<runtime::Shard*>& shards,
                                                const Clock& clock,
                                                runtime::Metrics& metrics) {
    const bool wanted = std::ranges::any_of(
        config.listeners, [](const auto& listener) { return listener.verify != "off"; });
    if (!wanted) return nullptr;
    verify::Verifier::Settings settings;
    settings.dns.servers = config.delivery.dns_servers;
    settings.authserv_id = config.verify.authserv_id;
    settings.public_suffixes = config.verify.public_suffixes;
    return std::make_unique<verify::Verifier>(shards, std::move(settings), clock, metrics);
}

}  // namespace posthorse
