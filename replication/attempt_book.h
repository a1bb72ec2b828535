// This node's own delivery attempts, for when another node owns their message and asks.
//
// Place     replicated_queue.h writes it; held_partitions.h answers from it.
// Contract  An attempt is under way from its intent to its settlement. One whose message was taken
//           from this node meanwhile ends here too: late outcomes are kept, the oldest go first.
// Owner     ReplicatedQueue, on home.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include "proto/types/time.h"
#include "replication/core/data_message.h"

namespace posthorse::replication {

class AttemptBook {
public:
    void began(const AttemptName& name) { under_way_.insert(name); }
    void ended(const AttemptName& name) { under_way_.erase(name); }
    // It ended, and this node does not own the message any more. False: it was not under way.
    bool late(const AttemptName& name, std::vector<RecipientOutcome> outcomes, BootTime now) {
        if (under_way_.erase(name) == 0) return false;
        if (order_.size() >= late_max) {
            late_.erase(order_.front());
            order_.pop_front();
        }
        if (late_.emplace(name, Late{std::move(outcomes), now}).second) order_.push_back(name);
        return true;
    }
    // The owner of its message has asked, and hears it. nullptr: it did not end late, or long ago.
    const std::vector<RecipientOutcome>* tell(const AttemptName& name) {
        const auto found = late_.find(name);
        if (found == late_.end()) return nullptr;
        found->second.told = true;
        return &found->second.outcomes;
    }

    bool is_under_way(const AttemptName& name) const { return under_way_.contains(name); }
    bool has_late(const AttemptName& name) const { return late_.contains(name); }
    // Whether an outcome came late after `since` that nobody has asked for.
    bool has_untold(BootTime since) const {
        return std::ranges::any_of(
            late_, [since](const auto& one) { return !one.second.told && one.second.at > since; });
    }

private:
    static constexpr std::size_t late_max = 10'000;

    struct Late {
        std::vector<RecipientOutcome> outcomes;
        BootTime at;
        bool told = false;
    };

    std::set<AttemptName> under_way_;
    std::map<AttemptName, Late> late_;
    std::deque<AttemptName> order_;
};

}  // namespace posthorse::replication
