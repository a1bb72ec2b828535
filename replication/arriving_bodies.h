// Which bodies a holder has parts of, and how far: of what came without a commit so far.
//
// Place     Under held_partitions.h. Pure.
// Contract  Of what came since this process began: recovery collects what came before.
// Owner     HeldPartitions, on home.
// Bounds    One entry for each message that arrives at the owners of the copies here.
#pragma once

#include <cstdint>
#include <set>
#include <unordered_map>
#include <variant>
#include <vector>

#include "storage/queue_store.h"

namespace posthorse::replication {

class ArrivingBodies {
public:
    // False: of this operation's body some chunks did not come to this process.
    bool came(const storage::Operation& operation) {
        if (const auto* append = std::get_if<storage::Append>(&operation.change)) {
            const auto known = chunks_.find(append->id);
            const std::uint32_t before = known == chunks_.end() ? 0 : known->second;
            if (append->index != before + 1) return false;
            chunks_[append->id] = append->index;
            return true;
        }
        if (const auto* abort = std::get_if<storage::Abort>(&operation.change))
            chunks_.erase(abort->id);
        const auto* commit = std::get_if<storage::Commit>(&operation.change);
        if (commit == nullptr || commit->envelope.chunk_count == 0) return true;
        const auto arrived = chunks_.extract(commit->envelope.id);
        return !arrived.empty() && arrived.mapped() == commit->envelope.chunk_count;
    }

    // They are known no more.
    std::vector<QueueId> extract(PartitionId partition) {
        std::vector<QueueId> ids;
        std::erase_if(chunks_, [&](const auto& entry) {
            if (entry.first.partition() != partition) return false;
            ids.push_back(entry.first);
            return true;
        });
        return ids;
    }
    std::set<PartitionId> partitions() const {
        std::set<PartitionId> found;
        for (const auto& [id, chunks] : chunks_) found.insert(id.partition());
        return found;
    }

private:
    std::unordered_map<QueueId, std::uint32_t> chunks_;
};

}  // namespace posthorse::replication
