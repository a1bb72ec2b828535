#include "daemon/runtime/system_clock.h"

#include <sys/random.h>
#include <time.h>

#include <array>
#include <utility>

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

// The system is asked for many at once: each message takes several.
std::uint64_t random_u64() {
    thread_local std::array<std::uint64_t, 32> drawn;  // 256 octets: always given whole
    thread_local std::size_t left = 0;
    if (left == 0) {
        PH_ASSERT(getrandom(drawn.data(), sizeof drawn, 0) == sizeof drawn);
        left = drawn.size();
    }
    return std::exchange(drawn[--left], 0);
}

}  // namespace posthorse::runtime
