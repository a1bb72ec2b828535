// The machine's clocks behind the Clock port: the only file that reads them (tests/lint).
#pragma once

#include "proto/types/time.h"

namespace posthorse::runtime {

class SystemClock final : public Clock {
public:
    WallTime wall() const override;
    BootTime boot() const override;
};

// A random number for jitter and names that nobody must guess. Any thread.
std::uint64_t random_u64();

}  // namespace posthorse::runtime
