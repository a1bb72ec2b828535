// The agreed value of a pool, and who may act on it, as a port.
//
// Place     replicated_queue.h asks it; node.cc picks an implementation. Here: solo
//           (edge/solo_control.h), a pool of one. Embedded agreement and etcd follow the same port.
// Contract  read() is the newest *committed* state that this node has seen; only committed states
//           count for starting something, and states come in version order. propose() names the
//           version that the change was computed from; it fails with `conflict` when another
//           change came first, and with `unknown` when it may have been committed.
//           A lease is the right of (node, incarnation) to act. It lives on the boot clock of this
//           machine and is never compared with another's.
// Owner     node.cc. Every call and callback on the home executor.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proto/types/ids.h"
#include "proto/types/result.h"
#include "proto/types/time.h"

namespace posthorse::replication {

enum class PartitionPhase : std::uint8_t {
    open,     // takes new messages
    closing,  // only delivers what it has
};

struct PartitionState {
    PartitionId id;
    std::optional<NodeId> owner;
    std::vector<NodeId> in_sync;  // the owner among them
    Epoch epoch;
    PartitionPhase phase = PartitionPhase::open;
    bool solo = false;  // for `degrade`: in-sync only with its owner
    bool operator==(const PartitionState&) const = default;
};

struct Member {
    NodeId id;
    std::string name;
    Incarnation incarnation;  // the live one
    bool draining = false;
    bool operator==(const Member&) const = default;
};

struct PoolState {
    std::string pool_id;
    PoolVersion version;
    std::vector<Member> members;
    std::vector<PartitionState> partitions;
    bool operator==(const PoolState&) const = default;

    const PartitionState* find(PartitionId id) const;
};

// --- the changes that the data plane proposes
struct DropHolder {  // narrows an in-sync set; bumps the epoch
    PartitionId partition;
    NodeId holder;
};
using Change = std::variant<DropHolder>;

class ControlPlane {
public:
    virtual ~ControlPlane() = default;

    // Begins this incarnation; completes once the node is a member and may own partitions.
    virtual void start(Completion<PoolState> done) = 0;
    virtual const PoolState& read() const = 0;
    // Called after every newly committed state. One watcher.
    virtual void watch(UniqueFunction<void(const PoolState&)> changed) = 0;
    virtual void propose(Change change, PoolVersion base, Completion<PoolState> done) = 0;

    // True while the lease is good for at least `margin` from `now`.
    virtual bool lease_live(BootTime now, Duration margin) const = 0;
    virtual NodeId self() const = 0;
    virtual Incarnation incarnation() const = 0;
};

}  // namespace posthorse::replication
