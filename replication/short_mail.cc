#include "replication/short_mail.h"

#include <algorithm>

#include "replication/core/placement.h"

namespace posthorse::replication {

bool ShortMail::is_short(PartitionId id) const {
    const auto found = owned_.find(id);
    if (found == owned_.end()) return false;
    const auto& pool = control_.read();
    const auto wanted = std::min<std::size_t>(pool.settings.copies, pool.members.size());
    return found->second->state().in_sync.size() < wanted;
}

std::uint64_t ShortMail::messages() const {
    std::uint64_t messages = 0;
    for (const auto& [id, partition] : owned_) {
        if (is_short(id)) messages += store_.count(id);
    }
    return messages;
}

std::optional<WallTime> ShortMail::oldest() const {
    std::optional<WallTime> oldest;
    for (const auto& [id, accepted_at] : oldest_) {
        if (is_short(id) && (!oldest || accepted_at < *oldest)) oldest = accepted_at;
    }
    return oldest;
}

// Ids begin with the time: the first one is the oldest.
void ShortMail::look_for_oldest() {
    const auto has_short_mail = [&](PartitionId id) {
        return is_short(id) && store_.count(id) > 0;
    };
    std::erase_if(oldest_, [&](const auto& entry) { return !has_short_mail(entry.first); });
    for (const auto& [id, partition] : owned_) {
        if (!has_short_mail(id)) continue;
        store_.list(id, QueueId{}, 1,
                    [this, alive = std::weak_ptr<char>(alive_),
                     id](const Result<std::vector<Envelope>>& found) {
                        if (alive.expired()) return;
                        if (found && !found->empty())
                            oldest_[id] = found->front().accepted_at;
                        else
                            oldest_.erase(id);
                    });
    }
}

// The pool may not have agreed yet that this node drains: it does not count as one that stays.
PoolState ShortMail::pool_without_self() const {
    auto pool = control_.read();
    for (auto& member : pool.members) {
        if (member.id == control_.self()) member.draining = true;
    }
    return pool;
}

std::size_t ShortMail::held_by_nobody_else() const {
    const auto pool = pool_without_self();
    return static_cast<std::size_t>(
        std::count_if(pool.partitions.begin(), pool.partitions.end(), [&](const auto& partition) {
            return partition.holds(control_.self()) && store_.count(partition.id) > 0 &&
                   staying_holders(pool, partition) == 0;
        }));
}

// What has no mail is retired, not copied.
bool ShortMail::all_copied() const {
    const auto pool = pool_without_self();
    const auto self = control_.self();
    return std::all_of(pool.partitions.begin(), pool.partitions.end(),
                       [&](const PartitionState& partition) {
                           const bool counts = partition.owner && partition.holds(self);
                           return !counts || store_.count(partition.id) == 0 ||
                                  !replication::is_short(pool, partition);
                       });
}

}  // namespace posthorse::replication
