// Where the copy of each partition stands, and what it may take next. Pure.
//
// Place     Under storage/commit_queue.h, which writes what is taken here, and the marks with it.
// Contract  Operations are judged in the order in which they will be written: each as if all that
//           were taken before it are on the disk. What is judged is either taken or refused before
//           the next one is judged; when the disk fails nothing is judged any more.
//             Fence     nothing of a lower epoch than the highest that was heard.
//             Order     nothing twice, and nothing without its place.
//             Gaps      what must come unbroken (Operation::unbroken) is not taken behind something
//                       that was refused and has not come again. Nothing behind a gap is on the
//                       disk: the next process needs to know nothing of it.
// Owner     The commit queue; on its worker.
// Errors    fenced, invalid: as queue_store.h says.
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "storage/queue_record.h"
#include "storage/queue_store.h"

namespace posthorse::storage {

class PartitionBook {
public:
    enum class Ruling : std::uint8_t { may_be_taken, applied_before };

    // As the disk has it.
    void open(PartitionId partition, const PartitionMark& mark) { marks_[partition] = mark; }

    Result<Ruling> judge(const Operation& operation) const;
    // True: it raised the fence.
    bool take(const Operation& operation);
    // For whatever reason, but for `fenced`: that leaves no gap.
    void refuse(const Operation& operation);

    Result<CopyState> fence(PartitionId partition, Epoch epoch);
    void drop(PartitionId partition);
    bool copying(PartitionId partition) const;

    // The marks that changed since they were asked for last.
    std::vector<std::pair<PartitionId, PartitionMark>> take_changed();

private:
    PartitionMark mark_of(PartitionId partition) const;
    bool is_behind_a_gap(const Operation& operation) const;
    void change(PartitionId partition, const PartitionMark& mark);

    std::map<PartitionId, PartitionMark> marks_;
    std::set<PartitionId> changed_;
    std::map<PartitionId, Position> gaps_;  // what was refused first
};

}  // namespace posthorse::storage
