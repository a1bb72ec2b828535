// What every connection of intake needs: made by node.cc, constant after construction but for the
// parts that a reload replaces.
//
// Place     Passed by reference to listener.h, connection.h and acceptance.h.
// Owner     node.cc; outlives every connection. `queue` and `counts` are touched on `home` alone.
#pragma once

#include <atomic>
#include <memory>

#include "daemon/auth/authenticator.h"
#include "daemon/auth/sender_policy.h"
#include "daemon/config/config.h"
#include "daemon/intake/address_set.h"
#include "daemon/intake/intake_metrics.h"
#include "daemon/intake/recipient_map.h"
#include "daemon/intake/sender_map.h"
#include "daemon/runtime/reloadable.h"
#include "daemon/runtime/tls.h"
#include "daemon/runtime/workers.h"
#include "daemon/sign/signer.h"
#include "daemon/verify/verifier.h"
#include "proto/types/executor.h"
#include "proto/types/time.h"
#include "replication/counting/pool_counts.h"
#include "replication/replicated_queue.h"

namespace posthorse::intake {

// Whether MAIL is worth asking for. Set on home by node.cc's tick, read on every shard: the queue
// itself judges again at the end of data.
enum class Door : std::uint8_t { open, full, failed, draining };

struct IntakeContext {
    const config::Config& config;
    const AddressSet& trusted_networks;
    Executor& home;
    replication::ReplicatedQueue& queue;
    replication::PoolCounts& counts;
    const Clock& clock;
    auth::Authenticator& authenticator;
    runtime::Reloadable<const auth::SenderPolicy>& sender_policy;  // never null
    runtime::Workers& signing_workers;
    runtime::Reloadable<runtime::TlsContext>& server_tls;  // null: no certificate, no TLS
    const sign::Signer& signer;
    const runtime::Reloadable<const RecipientMap>& recipients;  // null: relay_domains alone decide
    const runtime::Reloadable<const SenderMap>& senders;        // null: nobody has another name
    const std::atomic<Door>& door;
    IntakeMetrics& metrics;
    // When a message that is about to be committed is to be tried first. On home.
    UniqueFunction<WallTime(const Envelope&)>& first_due;
    // Hands a fresh message, claimed by this node, to the scheduler. On home.
    UniqueFunction<void(Envelope)>& accepted;
    NodeId node;                           // this one
    verify::Verifier* verifier = nullptr;  // null: no listener verifies
};

}  // namespace posthorse::intake
