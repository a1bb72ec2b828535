// The pool in figures, asked for when somebody scrapes.
//
// Contract  The functions outlive `metrics`' last text(). Scrapes run on home.
#pragma once

#include <functional>

#include "daemon/admin/admin_ports.h"
#include "daemon/runtime/metrics.h"
#include "replication/edge/etcd_client.h"
#include "replication/edge/peer_network.h"

namespace posthorse {

void export_pool(runtime::Metrics& metrics,
                 std::function<admin::PoolView()> view,
                 std::function<replication::PeerNetworkFigures()> peers);
void export_streams(runtime::Metrics& metrics,
                    std::function<replication::PeerStreamFigures()> streams);

// Of a pool on etcd.
void export_etcd(runtime::Metrics& metrics, std::function<replication::EtcdFigures()> etcd);

}  // namespace posthorse
