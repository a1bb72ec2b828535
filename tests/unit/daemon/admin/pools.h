// A pool of three for the tests of this folder: alpha answers and leads, bravo votes, charlie is
// away with a partition that waits for it.
#pragma once

#include "daemon/admin/admin_ports.h"

namespace posthorse::admin::test {

inline NodeId node_id(std::uint8_t first, std::uint8_t second = 0) {
    NodeId id;
    id.bytes[0] = first;
    id.bytes[1] = second;
    return id;
}

inline const NodeId alpha = node_id(0xaa, 0x01);
inline const NodeId bravo = node_id(0xaa, 0x02);
inline const NodeId charlie = node_id(0xcc, 0x03);

inline replication::Member member(const NodeId& id, std::string name, std::string zone) {
    return {.id = id,
            .facts = {.name = name,
                      .address = name + ".test:9626",
                      .zone = std::move(zone),
                      .release = "0.1.0",
                      .features = 2},
            .incarnation = {5, 1},
            .live = true,
            .draining = false,
            .acknowledged = {{3}, {16}}};
}

inline replication::PartitionState partition(std::uint32_t id, std::vector<NodeId> in_sync) {
    return {.id = {id}, .owner = in_sync.front(), .in_sync = in_sync, .epoch = {id + 10}};
}

inline PoolView three_nodes() {
    PoolView view;
    view.name = "alpha";
    auto& state = view.committed;
    state.pool_id = "f00d";
    state.version = {17};
    state.members = {member(alpha, "alpha", "east"), member(bravo, "bravo", "west"),
                     member(charlie, "charlie", "")};
    state.members[1].facts.release = "0.2.0";
    state.members[1].facts.features = 3;
    state.members[2].live = false;
    state.partitions = {partition(1, {alpha, bravo}), partition(2, {alpha}),
                        partition(3, {bravo, alpha}), partition(4, {charlie})};
    state.partitions[1].solo = true;
    state.partitions[2].phase = replication::PartitionPhase::closing;
    state.partitions[3].owner.reset();
    auto& status = view.status;
    status.phase = "member";
    status.self = alpha;
    status.incarnation = {5, 1};
    status.term = {3};
    status.leader = alpha;
    status.voters = {{alpha, bravo, charlie}};
    status.lease_left = std::chrono::milliseconds{8490};
    status.leases = {{alpha, std::chrono::seconds{9}}, {bravo, std::chrono::seconds{7}}};
    return view;
}

// The same, where nobody leads or votes.
inline PoolView three_on_etcd() {
    auto view = three_nodes();
    view.status.control = replication::PoolControl::etcd;
    view.status.leader.reset();
    view.status.voters = {};
    return view;
}

}  // namespace posthorse::admin::test
