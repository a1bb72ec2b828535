#include "storage/claim_table.h"

#include <algorithm>

namespace posthorse::storage {

void ClaimTable::raise(PartitionId partition, Epoch epoch) {
    const std::lock_guard lock(mutex_);
    Epoch& fence = partitions_[partition].fence;
    fence = std::max(fence, epoch);
}

void ClaimTable::fence(PartitionId partition, Epoch epoch) {
    raise(partition, epoch);
    const std::lock_guard lock(mutex_);
    std::erase_if(claims_, [&](const auto& entry) {
        const auto& [id, claim] = entry;
        if (id.partition() != partition || claim.epoch >= epoch) return false;
        lower(id, claim.due);
        return true;
    });
}

void ClaimTable::born(const Envelope& envelope, Epoch epoch) {
    const std::lock_guard lock(mutex_);
    claims_.insert_or_assign(
        envelope.id, Claim{.epoch = epoch, .due = envelope.due_at, .version = envelope.version});
}

void ClaimTable::born_free(const Envelope& envelope) {
    const std::lock_guard lock(mutex_);
    lower(envelope.id, envelope.due_at);
}

void ClaimTable::changed(const Envelope& after) {
    const std::lock_guard lock(mutex_);
    const auto claim = claims_.find(after.id);
    if (claim != claims_.end() && claim->second.version >= after.version) return;
    if (claim != claims_.end()) claims_.erase(claim);
    lower(after.id, after.due_at);
}

void ClaimTable::changed_under_claim(const Envelope& after) {
    const std::lock_guard lock(mutex_);
    const auto claim = claims_.find(after.id);
    if (claim == claims_.end()) return lower(after.id, after.due_at);
    claim->second.due = after.due_at;
    claim->second.version = std::max(claim->second.version, after.version);
}

void ClaimTable::gone(QueueId id) {
    const std::lock_guard lock(mutex_);
    claims_.erase(id);
}

void ClaimTable::drop(PartitionId partition) {
    const std::lock_guard lock(mutex_);
    std::erase_if(claims_, [&](const auto& entry) { return entry.first.partition() == partition; });
    partitions_.erase(partition);
}

void ClaimTable::release(QueueId id) {
    const std::lock_guard lock(mutex_);
    const auto claim = claims_.find(id);
    if (claim == claims_.end()) return;
    lower(id, claim->second.due);
    claims_.erase(claim);
}

Epoch ClaimTable::fence_of(PartitionId partition) const {
    const std::lock_guard lock(mutex_);
    const auto found = partitions_.find(partition);
    return found == partitions_.end() ? Epoch{} : found->second.fence;
}

std::size_t ClaimTable::size() const {
    const std::lock_guard lock(mutex_);
    return claims_.size();
}

DuePosition ClaimTable::begin_scan(PartitionId partition) {
    const std::lock_guard lock(mutex_);
    Partition& state = partitions_[partition];
    state.freed.reset();
    return state.scan_from;
}

void ClaimTable::end_scan(PartitionId partition, const DuePosition& reached) {
    const std::lock_guard lock(mutex_);
    Partition& state = partitions_[partition];
    state.scan_from = state.freed ? std::min(*state.freed, reached) : reached;
}

bool ClaimTable::is_free(QueueId id) const {
    const std::lock_guard lock(mutex_);
    return !claims_.contains(id);
}

bool ClaimTable::try_claim(QueueId id, Epoch epoch, WallTime due) {
    const std::lock_guard lock(mutex_);
    if (epoch < partitions_[id.partition()].fence) return false;
    return claims_.try_emplace(id, Claim{.epoch = epoch, .due = due}).second;
}

bool ClaimTable::confirm(const Envelope& envelope) {
    const std::lock_guard lock(mutex_);
    const auto claim = claims_.find(envelope.id);
    if (claim == claims_.end()) return false;
    claim->second.due = envelope.due_at;
    claim->second.version = envelope.version;
    return true;
}

void ClaimTable::lower(QueueId id, WallTime due) {
    const DuePosition position{.due = due, .id = id};
    Partition& state = partitions_[id.partition()];
    state.scan_from = std::min(state.scan_from, position);
    state.freed = state.freed ? std::min(*state.freed, position) : position;
}

}  // namespace posthorse::storage
