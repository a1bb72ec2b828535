#include "tests/model/lease/values.h"

#include <algorithm>

#include "proto/types/assert.h"

namespace posthorse::model::lease {

using namespace replication;

NodeId id_of(std::uint8_t node) {
    NodeId id;
    id.bytes.fill(static_cast<std::uint8_t>(node + 1));
    return id;
}

std::uint8_t node_of(const NodeId& id) {
    return static_cast<std::uint8_t>(id.bytes[0] - 1);
}

Configuration configuration_of(Mask mask) {
    Configuration configuration;
    for (std::uint8_t node = 0; node < nodes_max; ++node) {
        if (mask >> node & 1) configuration.voters.push_back(id_of(node));
    }
    return configuration;
}

Mask mask_of(const Configuration& configuration) {
    Mask mask = 0;
    for (const auto& voter : configuration.voters)
        mask = static_cast<Mask>(mask | 1u << node_of(voter));
    return mask;
}

Value Values::keep(PoolState state) {
    for (const auto& value : values_) {
        if (*value == state) return value;
    }
    return values_.emplace_back(std::make_shared<const PoolState>(std::move(state)));
}

std::uint8_t Values::number_of(const Published& published) {
    const auto at = std::find(publications_.begin(), publications_.end(), published);
    const auto number = static_cast<std::size_t>(at - publications_.begin());
    if (at == publications_.end()) publications_.push_back(published);
    PH_ASSERT(number < 255);
    return static_cast<std::uint8_t>(number);
}

}  // namespace posthorse::model::lease
