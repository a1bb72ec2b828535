#include "daemon/runtime/system_clock.h"

#include <sys/random.h>
#include <time.h>

#include "proto/types/assert.h"

namespace posthorse::runtime {
namespace {

Duration read_clock(clockid_t id) {
    timespec now{};
    PH_ASSERT(clock_gettime(id, &now) == 0);
    return std::chrono::duration_cast<Duration>(std::chrono::seconds{now.tv_sec} +
                                                std::chrono::nanoseconds{now.tv_nsec});
}

}  // namespace

WallTime SystemClock::wall() const {
    return WallTime{read_clock(CLOCK_REALTIME)};
}

BootTime SystemClock::boot() const {
    return BootTime{read_clock(CLOCK_BOOTTIME)};
}

std::uint64_t random_u64() {
    std::uint64_t value = 0;
    PH_ASSERT(getrandom(&value, sizeof value, 0) == sizeof value);
    return value;
}

}  // namespace posthorse::runtime
