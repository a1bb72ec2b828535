// Everything that is not Posthorse, for one run: time, chance, and the order of events.
//
// Place     Below all of tests/sim. One seed is one run: nothing else is random.
// Contract  Events run in order of time, then of their making. The wall clock may jump; the boot
//           clock is the time of the event that runs.
// Owner     One Simulation. Single-threaded.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <utility>

#include "proto/types/executor.h"
#include "proto/types/time.h"

namespace posthorse::sim {

class World final : public Clock {
public:
    explicit World(std::uint64_t seed) : random_(seed) {}

    WallTime wall() const override { return WallTime{now_.time_since_epoch() + wall_offset_}; }
    BootTime boot() const override { return now_; }
    void jump_wall(Duration by) { wall_offset_ += by; }

    void at(BootTime time, UniqueFunction<void()> event) {
        events_.emplace(std::pair{std::max(time, now_), ++made_}, std::move(event));
    }
    void after(Duration delay, UniqueFunction<void()> event) { at(now_ + delay, std::move(event)); }
    void run_until(BootTime end);

    std::uint64_t random() { return random_(); }
    // 0 to `bound` - 1.
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    bool chance(std::uint32_t percent) { return below(100) < percent; }
    Duration between(Duration least, Duration most) {
        return least + Duration{below(static_cast<std::uint64_t>((most - least).count()) + 1)};
    }

private:
    std::mt19937_64 random_;
    BootTime now_{};
    Duration wall_offset_ = std::chrono::hours{24 * 365 * 57};
    std::uint64_t made_ = 0;
    std::map<std::pair<BootTime, std::uint64_t>, UniqueFunction<void()>> events_;
};

// A machine's boot clock: it began elsewhere, and runs a little fast or slow.
struct LocalClock {
    Duration offset{};
    std::int64_t drift = 0;  // in a million

    BootTime at(BootTime real) const {
        const auto elapsed = real.time_since_epoch().count();
        return BootTime{offset + Duration{elapsed + elapsed * drift / 1'000'000}};
    }
};

// What runs only while something lives: a process, and all that it has posted.
class Life {
public:
    explicit Life(World& world) : world_(world) {}
    ~Life() { end(); }
    Life(const Life&) = delete;
    Life& operator=(const Life&) = delete;

    void end() { *alive_ = false; }
    void at(BootTime time, UniqueFunction<void()> event) {
        world_.at(time, [alive = alive_, event = std::move(event)]() mutable {
            if (*alive) event();
        });
    }
    void after(Duration delay, UniqueFunction<void()> event) {
        at(world_.boot() + delay, std::move(event));
    }

private:
    World& world_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace posthorse::sim
