#include "replication/core/owner_fsm.h"

#include <algorithm>

#include "proto/types/assert.h"

namespace posthorse::replication {

OwnerFsm::OwnerFsm(Settings settings, const std::vector<NodeId>& holders, Sequence last)
    : settings_(settings), last_(last) {
    for (const auto& holder : holders) holders_[holder];
}

Sequence OwnerFsm::begin(Need need, BootTime now) {
    ++last_.value;
    operations_[last_] = {need, false, now};
    return last_;
}

void OwnerFsm::local_done(Sequence sequence, Effects& out) {
    const auto operation = operations_.find(sequence);
    if (operation == operations_.end()) return;  // overdue before
    PH_ASSERT(!operation->second.local);
    operation->second.local = true;
    if (!holders_have(sequence, operation->second.need)) return;
    operations_.erase(operation);
    out.done.push_back(sequence);
}

void OwnerFsm::local_failed(Sequence sequence) {
    operations_.erase(sequence);
}

void OwnerFsm::acknowledged(NodeId holder, Sequence received, Sequence durable, Effects& out) {
    const auto found = holders_.find(holder);
    if (found == holders_.end()) return;  // not in the set: its word does not count
    auto& progress = found->second;
    PH_ASSERT(received <= last_ && durable <= last_);
    progress.received = std::max(progress.received, received);
    progress.durable = std::max(progress.durable, durable);
    collect_done(out);
}

void OwnerFsm::narrowed(const std::vector<NodeId>& holders, Effects& out) {
    std::erase_if(holders_, [&](const auto& entry) {
        return std::find(holders.begin(), holders.end(), entry.first) == holders.end();
    });
    PH_ASSERT(holders_.size() == holders.size());
    collect_done(out);
}

void OwnerFsm::tick(BootTime now, Effects& out) {
    for (auto& [holder, progress] : holders_) {
        if (progress.reported) continue;
        const auto owed =
            std::find_if(operations_.begin(), operations_.end(), [&](const auto& entry) {
                const auto& [sequence, operation] = entry;
                if (operation.need == Need::local) return false;
                return sequence >
                       (operation.need == Need::durable ? progress.durable : progress.received);
            });
        if (owed == operations_.end() || now - owed->second.begun < settings_.silence) continue;
        progress.reported = true;
        out.silent.push_back(holder);
    }
    std::erase_if(operations_, [&](const auto& entry) {
        if (now - entry.second.begun < settings_.give_up) return false;
        out.overdue.push_back(entry.first);
        return true;
    });
}

std::vector<NodeId> OwnerFsm::holders() const {
    std::vector<NodeId> names;
    for (const auto& [holder, progress] : holders_) names.push_back(holder);
    return names;
}

bool OwnerFsm::holders_have(Sequence sequence, Need need) const {
    if (need == Need::local) return true;
    return std::all_of(holders_.begin(), holders_.end(), [&](const auto& entry) {
        return sequence <= (need == Need::durable ? entry.second.durable : entry.second.received);
    });
}

void OwnerFsm::collect_done(Effects& out) {
    std::erase_if(operations_, [&](const auto& entry) {
        const auto& [sequence, operation] = entry;
        if (!operation.local || !holders_have(sequence, operation.need)) return false;
        out.done.push_back(sequence);
        return true;
    });
}

}  // namespace posthorse::replication
