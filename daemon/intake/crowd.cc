#include "daemon/intake/crowd.h"

namespace posthorse::intake {

bool Crowd::count(std::uint64_t sessions) {
    const bool was = dense();
    const bool is = was ? sessions * 5 >= room_ * 3 : sessions * 5 >= room_ * 4;
    dense_.store(is, std::memory_order_relaxed);
    return is != was;
}

}  // namespace posthorse::intake
