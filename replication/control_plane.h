// The agreed value of a pool, and who may act on it, as a port.
//
// Place     replicated_queue.h asks it; edge/movable_control.h holds what is behind it: embedded
//           agreement (edge/embedded_control.h), for a pool of one too, or etcd (etcd_control.h).
// Contract  read() is what this node may act on now: the newest *committed* value that it has
//           seen, without the owner of whatever a newer accepted one takes from it. The watcher is
//           called whenever it changes, and must have stopped acting on what this node does not own
//           any more before it returns. propose() fails with `conflict` when the change does not
//           fit the value any more, and with `unknown` when it may have been committed.
//           A lease is the right of (node, incarnation) to act. It lives on the boot clock of this
//           machine and is never compared with another's.
// Owner     node.cc. Every call and callback on the home executor.
#pragma once

#include "proto/types/ids.h"
#include "proto/types/result.h"
#include "proto/types/time.h"
#include "replication/core/pool_state.h"

namespace posthorse::replication {

class ControlPlane {
public:
    virtual ~ControlPlane() = default;

    // Begins this incarnation; completes once it is live and may own partitions: in a pool of
    // several that may take long, and waits for them.
    virtual void start(Completion<PoolState> done) = 0;
    virtual const PoolState& read() const = 0;
    // One watcher.
    virtual void watch(UniqueFunction<void(const PoolState&)> changed) = 0;
    virtual void propose(Change change, Completion<> done) = 0;

    // True while the lease is good for at least `margin` from `now`.
    virtual bool lease_live(BootTime now, Duration margin) const = 0;
    // The pool can decide nothing without this node: nobody can be dropped, and it goes on with its
    // own when its lease runs out.
    virtual bool unevictable() const = 0;
    // False: it goes on without a lease, for that reason alone; nobody else is heard.
    virtual bool leased(BootTime) const { return true; }
    virtual NodeId self() const = 0;
    virtual Incarnation incarnation() const = 0;
};

}  // namespace posthorse::replication
