// When to try again: exponential, with jitter, between two bounds.
//
// Place     Used by schedule_core.h for messages and for destinations that are down.
// Contract  Pure: the random number is an argument. The delay is never below `retry_min` and never
//           above `retry_max` (which counts as at least `retry_min`). It grows with `failures`.
#pragma once

#include <algorithm>
#include <cstdint>

#include "proto/types/time.h"

namespace posthorse::schedule {

struct RetryBounds {
    Duration retry_min = std::chrono::minutes{5};
    Duration retry_max = std::chrono::hours{1};
};

// `failures`: attempts that failed in a row so far, the last one included; at least 1.
// `random`: uniform over all its values. The jitter, a quarter either way, keeps messages that
// failed together from coming back together.
inline Duration retry_delay(const RetryBounds& bounds,
                            std::uint32_t failures,
                            std::uint32_t random) {
    const auto least = bounds.retry_min.count();
    const auto most = std::max(least, bounds.retry_max.count());
    constexpr Duration::rep second = 1000;  // what grows when retry_min is nothing
    auto middle = std::max(least, second);
    for (std::uint32_t i = 1; i < failures && middle < most; ++i) middle *= 2;
    middle = std::min(middle, most);
    const auto from = std::max(least, middle - middle / 4);
    const auto to = std::min(most, middle + middle / 4);
    return Duration{from +
                    static_cast<Duration::rep>(
                        (std::uint64_t{random} * static_cast<std::uint64_t>(to - from)) >> 32)};
}

}  // namespace posthorse::schedule
