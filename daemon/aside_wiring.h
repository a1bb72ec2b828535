// How what was set aside, the queue and operators meet.
//
// Place     Wiring, used by node.cc.
#pragma once

#include <memory>

#include "daemon/admin/admin_ports.h"
#include "daemon/aside/aside.h"
#include "daemon/config/config.h"
#include "daemon/pool_membership.h"
#include "daemon/runtime/shard.h"
#include "replication/replicated_queue.h"

namespace posthorse {

// An adopted message goes the way of one that a client brought: `accepted` has it next. The
// references outlive it.
std::unique_ptr<aside::Aside> make_aside(const config::Config& config,
                                         runtime::Shard& home,
                                         const Clock& clock,
                                         replication::ReplicatedQueue& queue,
                                         PoolMembership& pool,
                                         UniqueFunction<void(Envelope)>& accepted);

admin::AsidePorts aside_ports(aside::Aside& aside);

}  // namespace posthorse
