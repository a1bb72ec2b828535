// How much mail each partition has, for whoever asks from another thread.
//
// Place     Kept by storage/commit_queue.h as its rounds become visible.
// Contract  Operations are blind, so a removal that finds nothing to remove may come: no count
//           falls below zero. Without a message there are no octets either.
// Owner     The commit queue. Any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>

#include "proto/types/ids.h"

namespace posthorse::storage {

// How much, or how much more than before.
struct MailAmount {
    std::int64_t messages = 0;
    std::int64_t bytes = 0;  // as they are sent
    MailAmount& operator+=(const MailAmount& more) {
        messages += more.messages;
        bytes += more.bytes;
        return *this;
    }
    bool operator==(const MailAmount&) const = default;
};

class MessageCounts {
public:
    void add(PartitionId partition, const MailAmount& more) {
        if (more == MailAmount{}) return;
        const std::lock_guard lock(mutex_);
        MailAmount& amount = amounts_[partition];
        amount += more;
        amount.messages = std::max<std::int64_t>(0, amount.messages);
        amount.bytes = amount.messages == 0 ? 0 : std::max<std::int64_t>(0, amount.bytes);
    }
    void drop(PartitionId partition) {
        const std::lock_guard lock(mutex_);
        amounts_.erase(partition);
    }
    MailAmount of(PartitionId partition) const {
        const std::lock_guard lock(mutex_);
        const auto found = amounts_.find(partition);
        return found == amounts_.end() ? MailAmount{} : found->second;
    }
    MailAmount total() const {
        const std::lock_guard lock(mutex_);
        MailAmount total;
        for (const auto& [partition, amount] : amounts_) total += amount;
        return total;
    }

private:
    mutable std::mutex mutex_;
    std::map<PartitionId, MailAmount> amounts_;
};

}  // namespace posthorse::storage
