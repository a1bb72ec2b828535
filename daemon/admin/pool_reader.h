// The pool's agreed value, as this node reads it at any moment.
//
// Contract  committed() is called on the home executor; the reference holds until the caller
//           returns to it. A pool of one has a value too; before a node has found its pool it is
//           empty.
#pragma once

#include <functional>

#include "replication/core/pool_state.h"

namespace posthorse::admin {

struct PoolReader {
    std::function<const replication::PoolState&()> committed;
    NodeId self;
};

}  // namespace posthorse::admin
