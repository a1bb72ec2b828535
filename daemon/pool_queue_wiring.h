// What operators see and change of the queue, joined: this node's part, the parts of others, and
// this node's answers to them.
//
// Place     Wiring, as node.cc, which owns it: joins daemon/admin to the queue, the reporter and
//           the peer network.
// Contract  Without pool.join nothing is served to other nodes and none is asked.
//           stop() ends the questions to other nodes. Theirs are answered until the peer port
//           stops: this object must live beyond that.
// Owner     Node; every call on home. The references outlive it.
#pragma once

#include "daemon/admin/parts/node_queue_service.h"
#include "daemon/admin/parts/own_part.h"
#include "daemon/admin/parts/peer_parts.h"
#include "daemon/admin/pool_queue.h"
#include "daemon/config/config.h"
#include "daemon/pool_membership.h"
#include "daemon/report/reporter.h"
#include "daemon/runtime/metrics.h"

namespace posthorse {

class PoolQueueWiring {
public:
    // Before `pool` listens.
    PoolQueueWiring(const config::Config& config,
                    runtime::Shard& home,
                    const Clock& clock,
                    replication::ReplicatedQueue& queue,
                    report::Reporter& reporter,
                    PoolMembership& pool,
                    runtime::Metrics& metrics);

    const admin::PoolQueue& queue() const { return queue_; }
    // `done` runs on home.
    void stop(UniqueFunction<void()> done) { peers_.stop(std::move(done)); }

private:
    const admin::CertificatesName certificates_;
    const admin::PoolReader reader_;
    admin::OwnPart own_;
    admin::PeerParts peers_;
    admin::PoolQueue queue_;
    admin::NodeQueueService service_;
};

}  // namespace posthorse
