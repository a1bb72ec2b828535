// How often something happened within a window that slides with UTC.
//
// Contract  Pure. Time is cut into slots, twelve to a window, that begin at the same moments on
//           every node. A total is that of the last twelve slots, the one that is under way among
//           them: the window is at most a twelfth shorter than it says, never longer.
//           merge() takes the larger of two counts of one slot: of one counter's count it does not
//           matter how often, or in which order, it comes.
// Bounds    24 slots: those of the window, and as many ahead of this node's clock.
#pragma once

#include <cstdint>
#include <vector>

#include "proto/types/time.h"

namespace posthorse::replication {

struct CountSlot {
    std::int64_t number = 0;  // since 1970, in slots of its window
    std::uint64_t count = 0;
    bool operator==(const CountSlot&) const = default;
};

class SlidingCount {
public:
    static constexpr std::int64_t slots_per_window = 12;
    // Far above every limit: what a peer says cannot make a total overflow.
    static constexpr std::uint64_t slot_count_max = 1'000'000'000'000;

    // A window of 12 ms or more.
    explicit SlidingCount(Duration window);

    void add(WallTime now, std::uint64_t amount);
    void merge(const std::vector<CountSlot>& slots, WallTime now);
    std::uint64_t total(WallTime now) const;
    bool over(WallTime now) const { return total(now) == 0; }
    const std::vector<CountSlot>& slots() const noexcept { return slots_; }

private:
    std::int64_t slot_at(WallTime now) const;
    CountSlot& slot(std::int64_t number);
    void forget(std::int64_t current);

    Duration slot_length_;
    std::vector<CountSlot> slots_;  // by number
};

}  // namespace posthorse::replication
