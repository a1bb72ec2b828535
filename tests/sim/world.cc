#include "tests/sim/world.h"

namespace posthorse::sim {

void World::run_until(BootTime end) {
    while (!events_.empty() && events_.begin()->first.first <= end) {
        auto event = events_.extract(events_.begin());
        now_ = event.key().first;
        event.mapped()();
    }
    now_ = std::max(now_, end);
}

}  // namespace posthorse::sim
