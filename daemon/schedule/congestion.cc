#include "daemon/schedule/congestion.h"

#include <algorithm>
#include <cmath>
#include <utility>

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
    if (ended_ == 0) return guess;
    return Duration{static_cast<Duration::rep>(took_ms_ / ended_ * static_cast<double>(waiting))};
}

bool Congestion::pristine() const {
    return !down_ && failures_ == 0 && window_ >= std::min(window_initial, window_max_);
}

void Congestion::measure_pace(BootTime now) {
    constexpr double fades_within_ms = 2000;
    const auto passed_ms = static_cast<double>((now - std::exchange(paced_at_, now)).count());
    const double fading = std::exp(-passed_ms / fades_within_ms);
    ended_ = ended_ * fading + 1;
    took_ms_ = took_ms_ * fading + passed_ms;
}

}  // namespace posthorse::schedule
