#include "daemon/intake/capacity.h"

namespace posthorse::intake {

std::uint64_t descriptors_wanted(const config::Config& config) {
    return std::uint64_t{config.intake.sessions_max} + config.delivery.connections_max +
           others_wanted;
}

std::uint64_t sessions_that_fit(const config::Config& config, std::uint64_t descriptors) {
    const auto reserved = config.delivery.connections_max + others_least;
    const auto left = descriptors > reserved ? descriptors - reserved : 0;
    const std::uint64_t wanted = config.intake.sessions_max;
    if (left >= wanted) return wanted;
    return left < sessions_least ? 0 : left;
}

}  // namespace posthorse::intake
