// Which parts of the pool's queue were answered for in a call, and which are missing. Pure.
//
// Place     One in each call of admin_calls.h that asks several parts.
// Contract  A partition is covered when a node that answered every step of the call owned it in all
//           of them. One that changed its owner meanwhile is missing, unless the new owner covers
//           it; one that was opened or retired meanwhile is not. A node that knows no partition
//           yet misses everything.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "posthorse/v1/node_queue.pb.h"
#include "proto/types/result.h"
#include "replication/core/pool_state.h"

namespace posthorse::admin {

class Coverage {
public:
    // `wanted`: all partitions of the value with which the call begins, or some of them.
    explicit Coverage(const replication::PoolState& before);
    Coverage(const replication::PoolState& before, const std::set<PartitionId>& wanted);

    void walked(const NodeId& node, const v1::Walked& step);
    void failed(const NodeId& node, const Error& error);

    std::vector<v1::MissingPart> missing(const replication::PoolState& now) const;

private:
    struct Answer {
        std::optional<std::set<PartitionId>> owned;  // in every step
        std::optional<std::string> failure;
    };
    // Missing for one and the same reason.
    struct Gap {
        std::optional<NodeId> owner;
        std::string reason;
        std::set<PartitionId> partitions;
    };

    std::set<PartitionId> covered() const;
    std::string reason_for(const std::optional<NodeId>& owner) const;
    static v1::MissingPart to_missing(const Gap& gap, const replication::PoolState& now);

    bool knows_none_ = false;
    std::map<PartitionId, std::optional<NodeId>> wanted_;  // with the owner of the beginning
    std::map<NodeId, Answer> answers_;
};

}  // namespace posthorse::admin
