// How many messages each partition has, for whoever asks from another thread.
//
// Place     Kept by storage/commit_queue.h as its rounds become visible.
// Contract  Operations are blind, so a removal that finds nothing to remove may come: no count
// falls
//           below zero.
// Owner     The commit queue. Any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>

#include "proto/types/ids.h"

namespace posthorse::storage {

class MessageCounts {
public:
    void add(PartitionId partition, std::int64_t more) {
        if (more == 0) return;
        const std::lock_guard lock(mutex_);
        std::int64_t& count = counts_[partition];
        count = std::max<std::int64_t>(0, count + more);
    }
    void drop(PartitionId partition) {
        const std::lock_guard lock(mutex_);
        counts_.erase(partition);
    }
    std::uint64_t of(PartitionId partition) const {
        const std::lock_guard lock(mutex_);
        const auto found = counts_.find(partition);
        return found == counts_.end() ? 0 : static_cast<std::uint64_t>(found->second);
    }
    std::uint64_t total() const {
        const std::lock_guard lock(mutex_);
        std::uint64_t total = 0;
        for (const auto& [partition, count] : counts_) total += static_cast<std::uint64_t>(count);
        return total;
    }

private:
    mutable std::mutex mutex_;
    std::map<PartitionId, std::int64_t> counts_;
};

}  // namespace posthorse::storage
