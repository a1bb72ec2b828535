// Attempts of other nodes whose end nobody here knows: whom to ask, and when again.
//
// Place     Under replicated_queue.h. Pure.
// Contract  The node that made an attempt is asked when it can be reached, and again every
//           `ask_every` until it tells or the message is decided otherwise.
// Owner     ReplicatedQueue, on home.
// Bounds    One entry an attempt in doubt, of those that were found in this process.
#pragma once

#include <map>
#include <set>

#include "proto/types/time.h"
#include "replication/core/data_message.h"

namespace posthorse::replication {

class DoubtLedger {
public:
    void add(NodeId by, const AttemptName& name) { asked_[by].open.insert(name); }
    void decided(const AttemptName& name) {
        for (auto& [node, asked] : asked_) asked.open.erase(name);
    }
    void decided(QueueId id) {
        erase_if([id](const AttemptName& name) { return name.id == id; });
    }
    // `by` has not answered yet.
    bool asks(NodeId by, const AttemptName& name) const {
        const auto found = asked_.find(by);
        return found != asked_.end() && found->second.open.contains(name);
    }
    void given_up(PartitionId partition) {
        erase_if([partition](const AttemptName& name) { return name.id.partition() == partition; });
    }

    // What to ask `node` now, by partition.
    std::map<PartitionId, std::vector<AttemptName>> due(NodeId node, BootTime now) {
        std::map<PartitionId, std::vector<AttemptName>> questions;
        const auto found = asked_.find(node);
        if (found == asked_.end() || now < found->second.next) return questions;
        found->second.next = now + ask_every;
        for (const auto& name : found->second.open) {
            auto& question = questions[name.id.partition()];
            if (question.size() < questions_max) question.push_back(name);
        }
        return questions;
    }
    void ask_at_once(NodeId node) { asked_[node].next = {}; }

    std::vector<NodeId> nodes() const {
        std::vector<NodeId> nodes;
        for (const auto& [node, asked] : asked_) {
            if (!asked.open.empty()) nodes.push_back(node);
        }
        return nodes;
    }
    std::size_t size() const {
        std::size_t size = 0;
        for (const auto& [node, asked] : asked_) size += asked.open.size();
        return size;
    }

private:
    static constexpr Duration ask_every = std::chrono::seconds{5};
    static constexpr std::size_t questions_max = 1000;

    struct Asked {
        std::set<AttemptName> open;
        BootTime next{};
    };
    template <class Condition>
    void erase_if(Condition condition) {
        for (auto& [node, asked] : asked_) std::erase_if(asked.open, condition);
    }

    std::map<NodeId, Asked> asked_;
};

}  // namespace posthorse::replication
