#include "daemon/admin/coverage.h"

#include <algorithm>

#include "daemon/admin/member_name.h"
#include "proto/types/reply.h"

namespace posthorse::admin {
namespace {

using replication::PoolState;

// The nodes beside `owner` that have all of the partitions.
std::vector<NodeId> holders(const std::set<PartitionId>& partitions,
                            const std::optional<NodeId>& owner,
                            const PoolState& state) {
    std::vector<NodeId> nodes = state.find(*partitions.begin())->in_sync;
    std::erase_if(nodes, [&](const NodeId& node) {
        return node == owner || !std::ranges::all_of(partitions, [&](PartitionId id) {
                   return state.find(id)->holds(node);
               });
    });
    return nodes;
}

}  // namespace

Coverage::Coverage(const PoolState& before) : knows_none_(before.partitions.empty()) {
    for (const auto& partition : before.partitions) wanted_[partition.id] = partition.owner;
}

Coverage::Coverage(const PoolState& before, const std::set<PartitionId>& wanted) {
    for (const auto id : wanted) {
        if (const auto* partition = before.find(id)) wanted_[id] = partition->owner;
    }
}

void Coverage::walked(const NodeId& node, const v1::Walked& step) {
    std::set<PartitionId> owned;
    for (const auto partition : step.partitions()) owned.insert(PartitionId{partition});
    auto& so_far = answers_[node].owned;
    if (!so_far) {
        so_far = std::move(owned);
    } else {
        std::erase_if(*so_far, [&](PartitionId id) { return !owned.contains(id); });
    }
}

void Coverage::failed(const NodeId& node, const Error& error) {
    answers_[node].failure = error.what;
}

std::set<PartitionId> Coverage::covered() const {
    std::set<PartitionId> covered;
    for (const auto& [node, answer] : answers_) {
        if (!answer.failure && answer.owned)
            covered.insert(answer.owned->begin(), answer.owned->end());
    }
    return covered;
}

std::string Coverage::reason_for(const std::optional<NodeId>& owner) const {
    if (!owner) return "no live owner";
    const auto answer = answers_.find(*owner);
    const bool failed = answer != answers_.end() && answer->second.failure;
    return failed ? *answer->second.failure : "just changing its owner";
}

std::vector<v1::MissingPart> Coverage::missing(const PoolState& now) const {
    const auto covered = this->covered();
    std::map<std::optional<NodeId>, Gap> gaps;
    for (const auto& [partition, owner] : wanted_) {
        if (covered.contains(partition) || now.find(partition) == nullptr) continue;
        auto& gap = gaps[owner];
        gap.owner = owner;
        gap.partitions.insert(partition);
    }
    std::vector<v1::MissingPart> missing;
    if (knows_none_) missing.emplace_back().set_reason("this node has not found its pool yet");
    for (auto& [owner, gap] : gaps) {
        gap.reason = reason_for(owner);
        missing.push_back(to_missing(gap, now));
    }
    return missing;
}

v1::MissingPart Coverage::to_missing(const Gap& gap, const PoolState& now) {
    v1::MissingPart out;
    if (gap.owner) {
        out.set_node_id(gap.owner->to_string());
        out.set_node_name(name_of(now, *gap.owner));
    }
    for (const auto partition : gap.partitions) out.add_partitions(partition.value);
    for (const auto& node : holders(gap.partitions, gap.owner, now)) {
        out.add_held_by(title_of(now, node));
    }
    out.set_reason(sanitise(gap.reason));
    return out;
}

}  // namespace posthorse::admin
