// What a node that drains has given up, until the pool's value says who has it.
//
// Place     Kept by ownership.h, which gives up a partition here before the pool is asked.
// Contract  Pure. The answer to a question may be lost: the pool is asked again and again, until
//           its value names another owner or epoch. The partition is not taken up again in the
//           epoch of the question. When the node does not drain any more it asks for another epoch
//           instead: one of the two comes true.
// Owner     Ownership, on home.
#pragma once

#include <map>
#include <vector>

#include "proto/types/time.h"
#include "replication/core/pool_state.h"

namespace posthorse::replication {

class HandedOver {
public:
    void add(const PartitionState& partition, NodeId to) {
        asked_[partition.id] = {partition.epoch, to, {}};
    }
    bool contains(PartitionId id) const { return asked_.contains(id); }
    bool empty() const { return asked_.empty(); }

    // With every value of the pool: what has come true is forgotten.
    void follow(const PoolState& pool, NodeId self) {
        std::erase_if(asked_, [&](const auto& entry) {
            const auto* now = pool.find(entry.first);
            return now == nullptr || now->owner != self || now->epoch != entry.second.epoch;
        });
    }

    std::vector<Change> due(bool draining, BootTime now) {
        std::vector<Change> due;
        for (auto& [id, question] : asked_) {
            if (now < question.again_at) continue;
            question.again_at = now + ask_every;
            if (draining)
                due.emplace_back(HandOver{id, question.epoch, question.to});
            else
                due.emplace_back(DropHolder{id, question.epoch, NodeId{}});
        }
        return due;
    }

private:
    static constexpr Duration ask_every = std::chrono::seconds{2};
    struct Question {
        Epoch epoch;
        NodeId to;
        BootTime again_at;
    };

    std::map<PartitionId, Question> asked_;
};

}  // namespace posthorse::replication
