// The two clocks, as values. Nothing below rank 3 reads a clock: time arrives as an argument or
// through `Clock`, so that a simulator can own it.
#pragma once

#include <chrono>

namespace posthorse {

using Duration = std::chrono::milliseconds;

// UTC, for what people read and for due times that outlive a process. May jump.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

// Never jumps and goes on while the machine sleeps (CLOCK_BOOTTIME): for leases and deadlines.
// Never compared between machines.
struct BootClock {
    using duration = std::chrono::milliseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<BootClock>;
    static constexpr bool is_steady = true;
};
using BootTime = BootClock::time_point;

// The port through which the cores see time. Safe to call from any thread.
class Clock {
public:
    virtual ~Clock() = default;
    virtual WallTime wall() const = 0;
    virtual BootTime boot() const = 0;
};

}  // namespace posthorse
