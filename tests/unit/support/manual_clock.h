// A clock that stands still until the test moves it.
#pragma once

#include "proto/types/time.h"

namespace posthorse::tests {

class ManualClock final : public Clock {
public:
    WallTime wall() const override { return wall_; }
    BootTime boot() const override { return boot_; }

    void advance(Duration by) {
        wall_ += by;
        boot_ += by;
    }
    void set_wall(WallTime now) { wall_ = now; }  // the wall clock may jump

private:
    WallTime wall_{std::chrono::milliseconds{1'795'000'000'000}};
    BootTime boot_{std::chrono::hours{1}};
};

}  // namespace posthorse::tests
