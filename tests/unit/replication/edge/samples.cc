#include "tests/unit/replication/edge/samples.h"

namespace posthorse::tests {

using namespace replication;
using std::chrono::milliseconds;

NodeId node(std::uint8_t number) {
    NodeId id;
    id.bytes.fill(number);
    return id;
}

Facts facts(std::string name) {
    return {.name = name,
            .address = name + ".example:9626",
            .zone = "zone-of-" + name,
            .release = "0.2.0",
            .features = 3,
            .etcd = true};
}

PoolState pool() {
    PoolState state{.pool_id = "0123456789abcdef",
                    .incarnation = 2,
                    .version = {41},
                    .settings = {.copies = 3, .lease_ttl = milliseconds{7'500}},
                    .next_partition = {9}};
    for (const std::uint8_t number : {1, 2, 3}) {
        state.members.push_back({.id = node(number),
                                 .facts = facts("n" + std::to_string(number)),
                                 .incarnation = {number + 10u, ~std::uint64_t{number}},
                                 .live = number != 3,
                                 .draining = number == 2,
                                 .acknowledged = {{5}, {40}}});
    }
    state.partitions = {
        {.id = {1}, .owner = node(1), .in_sync = {node(2), node(1)}, .epoch = {4}, .solo = true},
        {.id = {4}, .in_sync = {node(3)}, .epoch = {6}, .phase = PartitionPhase::closing},
        {.id = {8}, .owner = node(2), .in_sync = {node(2)}, .epoch = {1}}};
    return state;
}

Published published() {
    return {.term = {6},
            .version = {41},
            .value = std::make_shared<const PoolState>(pool()),
            .configuration = {{node(1), node(2), node(3)}},
            .committed = {{node(1)}}};
}

Header header() {
    return {.pool_id = "0123456789abcdef",
            .pool_incarnation = 2,
            .from = node(1),
            .incarnation = {11, 12},
            .name = "n1",
            .address = "[2001:db8::1]:9626",
            .to = node(2)};
}

std::vector<Change> every_change() {
    const Start start{node(2), {12, 13}, facts("n2")};
    const Ended ended{node(3), {13, 14}};
    return {start,
            Evict{{ended, {node(2), {1, 2}}}, {start}, {node(1)}},
            Leave{ended},
            RemoveMember{node(3), Lost::accept},
            SetDraining{node(2), true},
            DropHolder{{1}, {4}, node(2)},
            AddHolder{{4}, {6}, node(1)},
            HandOver{{1}, {4}, node(2)},
            Vouch{{1}, {4}},
            RetirePartition{{4}, {6}},
            OpenPartition{{node(2), node(1)}, true},
            ClosePartition{{8}},
            SetCopies{2},
            SetControl{PoolControl::etcd}};
}

std::vector<Message> every_message() {
    const BootTime sent{milliseconds{123'456}};
    const Place place{{6}, {41}};
    std::vector<Message> messages{
        StartJoin{{7}},
        Join{{7}, {6}, {41}},
        published(),
        Accepted{place},
        Commit{place},
        PreVote{3, place},
        PreVoteReply{3, true, {6}},
        Heartbeat{{6}, 9, place, true, {{node(1), milliseconds{900}}, {node(2), Duration{-5}}}},
        HeartbeatReply{{6}, 9, place, true},
        TakeLead{{8}},
        Renew{sent, {40}, facts("n1")},
        Renewed{sent, {11, 12}, milliseconds{7'500}},
        Proposed{17, std::nullopt},
        Proposed{18, Error{Errc::conflict, "partition 4 is in epoch 7, not 6"}},
        Proposed{19, Error{Errc::unknown, "the leader left"}},
        LeaveRequest{},
        LeaveDone{{11, 12}, {{3}, {7}}},
        Hello{"n1.example:9626", {"n2.example:9626", "192.0.2.3:9626"}},
        HelloReply{PoolStanding::member,
                   "192.0.2.1:9626",
                   {"n3.example:9626"},
                   node(1),
                   "n1.example:9626",
                   true,
                   {11, 12},
                   place,
                   {6},
                   true},
        HelloReply{.standing = PoolStanding::promised},
        AskToJoin{facts("n4")},
        Promise{21, std::make_shared<const PoolState>(pool())},
        Promise{22, nullptr},
        Promised{21, "0123456789abcdef"},
        Begun{"0123456789abcdef"},
        Estranged{"its disk is behind: version 30, known to have had 40", {4, 99}}};
    for (const auto& change : every_change()) messages.emplace_back(Propose{16, change});
    return messages;
}

ControlRecord record() {
    return {.self = node(1),
            .incarnation = {11, 12},
            .pool_id = "0123456789abcdef",
            .pool_incarnation = 2,
            .promise = PromisedPool{node(2), 5, std::make_shared<const PoolState>(pool())},
            .agreement = {{7}, published()}};
}

ControlRecord record_on_etcd() {
    auto value = pool();
    value.control = PoolControl::etcd;
    ControlRecord record{.self = node(1),
                         .incarnation = {11, 12},
                         .pool_id = value.pool_id,
                         .pool_incarnation = value.incarnation,
                         .marks = {~std::uint64_t{0}, 0, 77}};
    record.agreement.accepted.version = value.version;
    record.agreement.accepted.value = std::make_shared<const PoolState>(value);
    return record;
}

std::vector<EtcdPut> every_etcd_item() {
    auto value = pool();
    value.control = PoolControl::etcd;
    return {{{}, EtcdPool{value, {~std::uint64_t{0}, 0, 77}}},
            {{EtcdKey::Kind::lease, node(1)}, EtcdLease{{11, 12}, {41}, 99, 1234}},
            {{EtcdKey::Kind::waiting, node(2)}, EtcdWaiting{{12, 13}, facts("n2"), {40}, 5}}};
}

}  // namespace posthorse::tests
