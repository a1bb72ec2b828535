#include "daemon/schedule/congestion.h"

#include <algorithm>

#include "proto/types/assert.h"

namespace posthorse::schedule {

Congestion::Congestion(std::uint32_t window_max, RetryBounds down_bounds)
    : window_max_(std::max(window_max, 1u)),
      down_bounds_(down_bounds),
      window_(std::min(window_initial, window_max_)) {}

Congestion::Gate Congestion::gate(BootTime now) const {
    if (!down_) return Gate::open;
    return probing_ || now < retry_at_ ? Gate::closed : Gate::probe;
}

void Congestion::begin_probe() {
    PH_ASSERT(down_ && !probing_);
    probing_ = true;
}

void Congestion::good(BootTime now) {
    measure_pace(now);
    failures_ = 0;
    revive();
    if (++successes_ < window_) return;
    successes_ = 0;
    window_ = std::min(window_ + 1, window_max_);
}

bool Congestion::unreachable(BootTime now, std::uint32_t random) {
    measure_pace(now);
    successes_ = 0;
    window_ = std::max(window_ - 1, 1u);
    ++failures_;
    // Attempts that were under way when the destination went down tell nothing new.
    const bool news = down_ ? probing_ : failures_ >= failures_before_down;
    if (!news) return down_;
    down_ = true;
    probing_ = false;
    retry_at_ = now + retry_delay(down_bounds_, ++downs_, random);
    return true;
}

void Congestion::revive() {
    down_ = false;
    probing_ = false;
    downs_ = 0;
    failures_ = 0;
}

Duration Congestion::drain_time(std::size_t waiting) const {
    constexpr Duration guess = std::chrono::seconds{10};
    if (interval_ms_ < 0) return guess;
    return Duration{static_cast<Duration::rep>(interval_ms_ * static_cast<double>(waiting))};
}

bool Congestion::pristine() const {
    return !down_ && failures_ == 0 && window_ >= std::min(window_initial, window_max_);
}

void Congestion::measure_pace(BootTime now) {
    constexpr double weight = 0.1;
    if (last_end_ != BootTime{}) {
        const auto interval = static_cast<double>((now - last_end_).count());
        interval_ms_ =
            interval_ms_ < 0 ? interval : interval_ms_ + weight * (interval - interval_ms_);
    }
    last_end_ = now;
}

}  // namespace posthorse::schedule
