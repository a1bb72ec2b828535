// Since when mail of another node has waited for this one: what a takeover took, as seen from here.
//
// Place     Under replication/ownership.h. Pure.
// Contract  A takeover begins when the stream to the partition's former owner ended, or, when it
// did
//           not, with the value that gave the partition to this node. It is told once.
// Owner     Ownership, on home.
// Bounds    One entry a partition, one a member.
#pragma once

#include <map>
#include <optional>
#include <utility>

#include "proto/types/time.h"
#include "replication/core/pool_state.h"

namespace posthorse::replication {

class TakeoverTimes {
public:
    void up(const NodeId& node) { lost_at_.erase(node); }
    void down(const NodeId& node, BootTime now) { lost_at_.try_emplace(node, now); }

    // With every value of the pool.
    void changed(const PoolState& state, const NodeId& self, BootTime now) {
        std::erase_if(lost_at_, [&](const auto& entry) { return !state.member(entry.first); });
        std::erase_if(last_owner_, [&](const auto& entry) { return !state.find(entry.first); });
        std::erase_if(since_, [&](const auto& entry) {
            const auto* partition = state.find(entry.first);
            return partition == nullptr || partition->owner != self;
        });
        for (const auto& partition : state.partitions) {
            if (!partition.owner) continue;
            const auto [last, is_first] = last_owner_.try_emplace(partition.id, *partition.owner);
            const auto before = std::exchange(last->second, *partition.owner);
            if (is_first || before == self || partition.owner != self) continue;
            const auto lost = lost_at_.find(before);
            since_[partition.id] = lost == lost_at_.end() ? now : lost->second;
        }
    }

    // Of a partition that was another node's.
    std::optional<BootTime> take(PartitionId id) {
        const auto since = since_.extract(id);
        if (since.empty()) return std::nullopt;
        return since.mapped();
    }

private:
    std::map<PartitionId, NodeId> last_owner_;
    std::map<NodeId, BootTime> lost_at_;  // members whose streams ended, and did not come back
    std::map<PartitionId, BootTime> since_;
};

}  // namespace posthorse::replication
