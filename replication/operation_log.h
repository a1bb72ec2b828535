// The newest operations of an owned partition, for holders that have not acknowledged them yet.
//
// Place     Under owned_partition.h.
// Contract  Sequences without a gap, [first, last]. What every holder has is dropped by the owner
//           (trim); what is beyond `bytes_max` too, the oldest first: a slow holder never grows
//           memory, it is brought up by a listing later.
// Owner     OwnedPartition.
#pragma once

#include <algorithm>
#include <deque>

#include "proto/types/assert.h"
#include "replication/core/data_message.h"
#include "storage/queue_batch.h"

namespace posthorse::replication {

class OperationLog {
public:
    OperationLog(Sequence last, std::size_t bytes_max)
        : first_{last.value + 1}, bytes_max_(bytes_max) {}

    void append(storage::Operation operation) {
        PH_ASSERT(operation.stamp.sequence.value == first_.value + operations_.size());
        const auto end = end_ + storage::size_of(operation) + envelope_bytes;
        operations_.push_back({Operate{std::move(operation)}, end_});
        end_ = end;
        while (bytes() > bytes_max_) drop_first();
    }
    // The next one is of interest to nobody.
    void skip() {
        PH_ASSERT(operations_.empty());
        first_.value += 1;
    }
    // Nobody needs these and earlier ones.
    void trim(Sequence upto) {
        while (!operations_.empty() && first_ <= upto) drop_first();
    }

    Sequence first() const noexcept { return first_; }
    Sequence last() const noexcept { return Sequence{first_.value + operations_.size() - 1}; }
    const Operate& at(Sequence sequence) const {
        PH_ASSERT(sequence >= first_ && sequence <= last());
        return operations_[sequence.value - first_.value].frame;
    }
    std::size_t bytes() const noexcept { return bytes_after(Sequence{first_.value - 1}); }
    // Of the operations behind this one that are still here.
    std::size_t bytes_after(Sequence sequence) const noexcept {
        if (operations_.empty() || sequence >= last()) return 0;
        const auto next = std::max(sequence.value + 1, first_.value);
        return end_ - operations_[next - first_.value].begin;
    }

private:
    static constexpr std::size_t envelope_bytes = 1024;  // about, beside the body

    struct Kept {
        Operate frame;
        std::size_t begin;  // octets of all that came before it
    };
    void drop_first() {
        operations_.pop_front();
        first_.value += 1;
    }

    Sequence first_;
    std::deque<Kept> operations_;
    std::size_t end_ = 0;
    const std::size_t bytes_max_;
};

}  // namespace posthorse::replication
