// Where a completion runs. The store and the replicated queue call back through this port, so that
// they name no event loop; the daemon's shards, the tests and the simulator each bring their own.
#pragma once

#include "proto/types/function.h"

namespace posthorse {

class Executor {
public:
    virtual ~Executor() = default;
    // Runs `work` later, never inside this call, in the order of the posts of one thread.
    // Safe to call from any thread.
    virtual void post(UniqueFunction<void()> work) = 0;
};

}  // namespace posthorse
