// Pools as values, for the tests of the cores.
#pragma once

#include <string>
#include <vector>

#include "replication/core/pool_state.h"

namespace posthorse::tests {

inline NodeId test_node(std::uint8_t number) {
    NodeId id;
    id.bytes.fill(number);
    return id;
}

// Every test node begins its life as this.
inline Incarnation first_start(std::uint8_t number) {
    return {1, number};
}

inline replication::Start start_of(std::uint8_t number, std::uint64_t counter, std::string zone) {
    return {test_node(number),
            {counter, number},
            {.name = "n" + std::to_string(number),
             .address = "n" + std::to_string(number) + ":1",
             .zone = std::move(zone),
             .etcd = true}};
}

// Nodes 1, 2, ... of these zones, all live, without a partition.
inline replication::PoolState pool_of(const std::vector<std::string>& zones) {
    replication::PoolState pool;
    pool.pool_id = "pool";
    pool.version = {1};
    std::uint8_t number = 0;
    for (const auto& zone : zones) {
        ++number;
        pool = replication::changed(pool, start_of(number, 1, zone)).value();
    }
    return pool;
}

inline replication::PoolState pool_of(std::size_t nodes) {
    return pool_of(std::vector<std::string>(nodes));
}

inline std::vector<NodeId> test_nodes(const std::vector<int>& numbers) {
    std::vector<NodeId> nodes;
    for (const int number : numbers) nodes.push_back(test_node(static_cast<std::uint8_t>(number)));
    return nodes;
}

// Opens a partition of these nodes, the owner first.
inline replication::PoolState with_partition(const replication::PoolState& pool,
                                             const std::vector<int>& holders,
                                             bool solo = false) {
    return replication::changed(pool, replication::OpenPartition{test_nodes(holders), solo})
        .value();
}

}  // namespace posthorse::tests
