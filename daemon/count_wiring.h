// What the pool counts together, joined: this node's counts, its clock, the way to other nodes.
//
// Place     Wiring, as node.cc, which owns it: joins replication/counting to the pool's value and
//           to the peer network.
// Contract  Without pool.join nothing is served to other nodes and none is told.
//           stop() ends the calls to other nodes. Theirs are answered until the peer port stops:
//           this object must live beyond that.
// Owner     Node; every call on home. The references outlive it.
#pragma once

#include "daemon/config/config.h"
#include "daemon/pool_membership.h"
#include "daemon/runtime/metrics.h"
#include "daemon/runtime/shard.h"
#include "proto/types/function.h"
#include "proto/types/time.h"
#include "replication/counting/pool_counts.h"
#include "replication/edge/count_exchange.h"

namespace posthorse {

class CountWiring {
public:
    // Before `pool` listens.
    CountWiring(const config::Config& config,
                runtime::Shard& home,
                const Clock& clock,
                PoolMembership& pool,
                runtime::Metrics& metrics);

    replication::PoolCounts& counts() { return counts_; }
    void tick() { counts_.tick(); }
    // `done` runs on home.
    void stop(UniqueFunction<void()> done);

private:
    void export_figures(runtime::Metrics& metrics);

    replication::CountExchange exchange_;
    replication::PoolCounts counts_;
};

}  // namespace posthorse
