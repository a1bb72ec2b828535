#include "storage/partition_book.h"

#include <algorithm>
#include <string>

#include "storage/queue_batch.h"

namespace posthorse::storage {
namespace {

std::string name_of(PartitionId partition) {
    return "partition " + std::to_string(partition.value);
}

Error fenced(PartitionId partition, Epoch tried, Epoch fence) {
    return {Errc::fenced, name_of(partition) + " is at epoch " + std::to_string(fence.value) +
                              ", this came from epoch " + std::to_string(tried.value)};
}

Error misplaced(PartitionId partition) {
    return {Errc::invalid, name_of(partition) +
                               ": a change that is not in the order of its partition, and ought "
                               "to be, or the other way round"};
}

Error behind_a_gap(PartitionId partition) {
    return {Errc::invalid, name_of(partition) +
                               ": something before this change was refused and has not come again"};
}

Error ahead_of_its_epoch(PartitionId partition) {
    return {Errc::invalid,
            name_of(partition) + ": a copy cannot stand in a later epoch than its owner's"};
}

bool in_order(const Stamp& stamp) {
    return stamp.sequence != Sequence{0};
}

}  // namespace

Result<PartitionBook::Ruling> PartitionBook::judge(const Operation& operation) const {
    const Stamp& stamp = operation.stamp;
    const PartitionMark mark = mark_of(stamp.partition);
    if (stamp.epoch < mark.fence) return fenced(stamp.partition, stamp.epoch, mark.fence);
    if (!has_its_place(operation)) return misplaced(stamp.partition);
    const auto* end = std::get_if<EndCopy>(&operation.change);
    if (end != nullptr && end->at.epoch > stamp.epoch) return ahead_of_its_epoch(stamp.partition);
    if (is_behind_a_gap(operation)) return behind_a_gap(stamp.partition);
    const bool before =
        in_order(stamp) && stamp.epoch == mark.at.epoch && stamp.sequence <= mark.at.last;
    return before ? Ruling::applied_before : Ruling::may_be_taken;
}

bool PartitionBook::is_behind_a_gap(const Operation& operation) const {
    const Stamp& stamp = operation.stamp;
    const auto gap = gaps_.find(stamp.partition);
    if (gap == gaps_.end() || gap->second.epoch != stamp.epoch) return false;
    if (std::holds_alternative<BeginCopy>(operation.change)) return false;
    return operation.unbroken && (!in_order(stamp) || stamp.sequence > gap->second.last);
}

bool PartitionBook::take(const Operation& operation) {
    const Stamp& stamp = operation.stamp;
    PartitionMark mark = mark_of(stamp.partition);
    const bool raises = stamp.epoch > mark.fence;
    mark.fence = stamp.epoch;
    if (in_order(stamp)) mark.at = {.epoch = stamp.epoch, .last = stamp.sequence};
    const bool begins = std::holds_alternative<BeginCopy>(operation.change);
    if (begins || operation.unbroken) gaps_.erase(stamp.partition);
    if (begins) mark.before = mark.position();
    if (const auto* end = std::get_if<EndCopy>(&operation.change)) {
        mark.at = std::max(mark.at, end->at);
        mark.before.reset();
    }
    change(stamp.partition, mark);
    return raises;
}

// The first of them leaves the gap. What is outside of the order does not come again: the copy has
// to begin anew.
void PartitionBook::refuse(const Operation& operation) {
    const Stamp& stamp = operation.stamp;
    if (!operation.unbroken || stamp.epoch < mark_of(stamp.partition).fence) return;
    const Position here{stamp.epoch, stamp.sequence};
    auto& gap = gaps_.try_emplace(stamp.partition, here).first->second;
    gap = gap.epoch < here.epoch ? here : std::min(gap, here);
}

Result<CopyState> PartitionBook::fence(PartitionId partition, Epoch epoch) {
    PartitionMark mark = mark_of(partition);
    if (epoch < mark.fence) return fenced(partition, epoch, mark.fence);
    mark.fence = epoch;
    change(partition, mark);
    return CopyState{.at = mark.position(), .whole = !mark.before};
}

void PartitionBook::drop(PartitionId partition) {
    marks_.erase(partition);
    changed_.erase(partition);
    gaps_.erase(partition);
}

bool PartitionBook::copying(PartitionId partition) const {
    return mark_of(partition).before.has_value();
}

std::vector<std::pair<PartitionId, PartitionMark>> PartitionBook::take_changed() {
    std::vector<std::pair<PartitionId, PartitionMark>> changed;
    for (const PartitionId partition : std::exchange(changed_, {}))
        changed.emplace_back(partition, marks_.at(partition));
    return changed;
}

PartitionMark PartitionBook::mark_of(PartitionId partition) const {
    const auto found = marks_.find(partition);
    return found == marks_.end() ? PartitionMark{} : found->second;
}

void PartitionBook::change(PartitionId partition, const PartitionMark& mark) {
    PartitionMark& known = marks_[partition];
    if (known == mark) return;
    known = mark;
    changed_.insert(partition);
}

}  // namespace posthorse::storage
