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
    const auto need = operation->second.need;
    if (!holders_have(sequence, need)) return;
    operations_.erase(operation);
    note_done(sequence, need, out);
}

// What is only needed here was never promised to anybody.
void OwnerFsm::note_done(Sequence sequence, Need need, Effects& out) {
    if (need != Need::local) done_ = std::max(done_, sequence);
    if (need == Need::durable) done_durable_ = std::max(done_durable_, sequence);
    out.done.push_back(sequence);
}

void OwnerFsm::local_failed(Sequence sequence) {
    operations_.erase(sequence);
}

void OwnerFsm::acknowledged(NodeId holder, Sequence received, Sequence durable, Effects& out) {
    const auto found = holders_.find(holder);
    if (found == holders_.end()) return;  // it does not bind: its word does not count
    auto& progress = found->second;
    if (received > last_ || durable > last_) return;  // of no operation of this owner
    progress.received = std::max({progress.received, received, durable});
    progress.durable = std::max(progress.durable, durable);
    if (!owes_since(progress)) progress.reported.reset();
    collect_done(out);
}

void OwnerFsm::bind(NodeId newcomer, Sequence received, Sequence durable) {
    holders_.try_emplace(newcomer, Progress{std::max(received, durable), durable, std::nullopt});
}

void OwnerFsm::unbind(NodeId newcomer, Effects& out) {
    holders_.erase(newcomer);
    collect_done(out);
}

void OwnerFsm::bound(const std::vector<NodeId>& holders, Effects& out) {
    std::erase_if(holders_, [&](const auto& entry) {
        return std::find(holders.begin(), holders.end(), entry.first) == holders.end();
    });
    for (const auto& holder : holders) holders_.try_emplace(holder);
    collect_done(out);
}

std::optional<BootTime> OwnerFsm::owes_since(const Progress& progress) const {
    const auto owed = std::find_if(operations_.begin(), operations_.end(), [&](const auto& entry) {
        const auto& [sequence, operation] = entry;
        if (operation.need == Need::local) return false;
        return sequence > (operation.need == Need::durable ? progress.durable : progress.received);
    });
    if (owed == operations_.end()) return std::nullopt;
    return owed->second.begun;
}

void OwnerFsm::tick(BootTime now, Effects& out) {
    for (auto& [holder, progress] : holders_) {
        const auto owes = owes_since(progress);
        if (!owes || now - *owes < settings_.silence) continue;
        if (progress.reported && now - *progress.reported < settings_.silence) continue;
        progress.reported = now;
        out.silent.push_back(holder);
    }
    std::erase_if(operations_, [&](const auto& entry) {
        if (now - entry.second.begun < settings_.give_up) return false;
        out.overdue.push_back(entry.first);
        return true;
    });
}

std::vector<Sequence> OwnerFsm::waive(BootTime now) {
    std::vector<Sequence> waived;
    std::erase_if(operations_, [&](const auto& entry) {
        const auto& [sequence, operation] = entry;
        const bool late = now - operation.begun >= settings_.silence;
        if (operation.need != Need::received || !operation.local || !late) return false;
        waived.push_back(sequence);
        return true;
    });
    return waived;
}

std::vector<NodeId> OwnerFsm::holders() const {
    std::vector<NodeId> names;
    for (const auto& [holder, progress] : holders_) names.push_back(holder);
    return names;
}

bool OwnerFsm::covers(NodeId holder) const {
    const auto found = holders_.find(holder);
    return found != holders_.end() && found->second.received >= done_ &&
           found->second.durable >= done_durable_;
}

Sequence OwnerFsm::durable_everywhere() const {
    Sequence least = last_;
    for (const auto& [holder, progress] : holders_) least = std::min(least, progress.durable);
    return least;
}

Duration OwnerFsm::owed(BootTime now) const {
    Duration longest{};
    for (const auto& [holder, progress] : holders_) {
        if (const auto since = owes_since(progress)) longest = std::max(longest, now - *since);
    }
    return longest;
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
        note_done(sequence, operation.need, out);
        return true;
    });
}

}  // namespace posthorse::replication
