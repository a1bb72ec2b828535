// The values and publications of one search, each kept once: equal ones have one address.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "replication/core/coordination_fsm.h"
#include "replication/core/pool_state.h"
#include "tests/model/lease/scope.h"

namespace posthorse::model::lease {

NodeId id_of(std::uint8_t node);
std::uint8_t node_of(const NodeId& id);
replication::Configuration configuration_of(Mask mask);
Mask mask_of(const replication::Configuration& configuration);

class Values {
public:
    replication::Value keep(replication::PoolState state);
    std::uint8_t number_of(const replication::Published& published);
    const replication::Published& published(std::uint8_t number) const {
        return publications_[number];
    }

private:
    std::vector<replication::Value> values_;
    std::deque<replication::Published> publications_;
};

}  // namespace posthorse::model::lease
