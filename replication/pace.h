// How fast copies are made whole: octets a second, shared by all that a node sends.
//
// Owner     ReplicatedQueue, on home.
#pragma once

#include <algorithm>
#include <cstdint>

#include "proto/types/time.h"

namespace posthorse::replication {

class Pace {
public:
    explicit Pace(std::uint64_t bytes_per_second)
        : rate_(bytes_per_second), left_(bytes_per_second) {}

    // Call it every tick.
    void advance(BootTime now) {
        const auto passed = std::min<Duration>(now - last_, std::chrono::seconds{1});
        last_ = now;
        const auto more = rate_ * static_cast<std::uint64_t>(passed.count()) / 1000;
        left_ = std::min<std::int64_t>(left_ + static_cast<std::int64_t>(more),
                                       static_cast<std::int64_t>(rate_));
    }
    // While a node is about to leave, nothing holds copies back.
    void unleash(bool free) { unleashed_ = free; }
    bool open() const noexcept { return unleashed_ || left_ > 0; }
    void took(std::size_t bytes) { left_ -= static_cast<std::int64_t>(bytes); }

private:
    const std::uint64_t rate_;
    std::int64_t left_;
    BootTime last_{};
    bool unleashed_ = false;
};

}  // namespace posthorse::replication
