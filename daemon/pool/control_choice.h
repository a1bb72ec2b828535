// By which control plane a node starts: its disk says where its pool is, and the configuration
// where a node without one looks.
//
// Place     Asked once by control_wiring.h, before anything listens.
// Contract  Pure. A member goes by what it remembers: who looked in the other place would wait for
//           ever, or begin a second pool with the same mail. `differs` says how the configuration
//           can come true; empty: it is true.
// Errors    conflict, with the mend: it remembers a pool on etcd, and nobody told it where etcd is.
#pragma once

#include <string>

#include "daemon/config/config.h"
#include "proto/types/result.h"
#include "replication/core/control_message.h"

namespace posthorse::pool {

struct ControlChoice {
    replication::PoolControl control = replication::PoolControl::embedded;
    std::string differs;
};
Result<ControlChoice> choose_control(const config::Pool& pool,
                                     const replication::ControlRecord& record);

}  // namespace posthorse::pool
