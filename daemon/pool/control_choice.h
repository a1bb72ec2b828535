// Whether a node may start with what pool.control says, by what its disk remembers of its pool.
//
// Place     Asked once by pool_membership.h, before anything listens.
// Contract  Pure. A node without a pool may begin or find one by either. A pool that decides by one
//           of the two is not there for the other: who looks in the wrong place would wait for
//           ever, or begin a second pool with the same mail.
// Errors    conflict, with the mend.
#pragma once

#include "daemon/config/config.h"
#include "proto/types/result.h"
#include "replication/core/control_message.h"

namespace posthorse::pool {

Result<void> check_control(const config::Pool& pool, const replication::ControlRecord& record);

}  // namespace posthorse::pool
