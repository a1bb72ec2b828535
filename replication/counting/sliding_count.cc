#include "replication/counting/sliding_count.h"

#include <algorithm>

#include "proto/types/assert.h"

namespace posthorse::replication {

SlidingCount::SlidingCount(Duration window) : slot_length_(window / slots_per_window) {
    PH_ASSERT(slot_length_ > Duration::zero());
}

std::int64_t SlidingCount::slot_at(WallTime now) const {
    return now.time_since_epoch() / slot_length_;
}

CountSlot& SlidingCount::slot(std::int64_t number) {
    const auto at = std::ranges::lower_bound(slots_, number, {}, &CountSlot::number);
    if (at != slots_.end() && at->number == number) return *at;
    return *slots_.insert(at, {number, 0});
}

void SlidingCount::forget(std::int64_t current) {
    std::erase_if(slots_, [&](const CountSlot& one) {
        return one.number <= current - slots_per_window || one.number > current + slots_per_window;
    });
}

void SlidingCount::add(WallTime now, std::uint64_t amount) {
    const auto current = slot_at(now);
    forget(current);
    auto& one = slot(current);
    one.count = std::min(slot_count_max, one.count + std::min(amount, slot_count_max));
}

void SlidingCount::merge(const std::vector<CountSlot>& slots, WallTime now) {
    const auto current = slot_at(now);
    for (const auto& theirs : slots) {
        if (theirs.number <= current - slots_per_window ||
            theirs.number > current + slots_per_window)
            continue;
        auto& one = slot(theirs.number);
        one.count = std::max(one.count, std::min(theirs.count, slot_count_max));
    }
    forget(current);
}

std::uint64_t SlidingCount::total(WallTime now) const {
    const auto oldest = slot_at(now) - slots_per_window + 1;
    std::uint64_t sum = 0;
    for (const auto& one : slots_) {
        if (one.number >= oldest) sum += one.count;
    }
    return sum;
}

}  // namespace posthorse::replication
