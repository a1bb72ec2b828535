// What the next value of a pool on etcd is, and on which lease items it depends.
//
// Place     Pure, under etcd_core.h, which makes a transaction of it that compares the pool's
//           revision too. The counterpart of leader_duties.h, for a pool without a leader.
// Contract  A change of this node's own (what was asked of it, its start, its leaving) it makes
//           itself, at once. What the pool lacks (leases that lapsed, placement, copies) any node
//           may do, and all that is due goes into one value. Normally one does it: those that live
//           and are heard in the order of their ids, then those that wait to start; each gives the
//           one before it turn() to be done. Safety is the comparison, this is only politeness.
//           An eviction compares the revision of the lease item that was seen unchanged for a TTL,
//           0 when there was none, and deletes it; a waiting start of the same node begins in the
//           same value. A node never ends an earlier start of its own before it lapsed, but in a
//           pool of its own, where it only must not be seen to live.
// Owner     EtcdCore.
// Bounds    Of incarnations that lapsed at once, so many end in a value as fit a transaction.
#pragma once

#include <optional>
#include <vector>

#include "replication/core/etcd_view.h"
#include "replication/core/pool_state.h"

namespace posthorse::replication {

struct EtcdNext {
    PoolState state;
    std::vector<EtcdCompare> when;  // beside the pool's value
    std::vector<EtcdKey> deletes;
};

class EtcdDuties {
public:
    // This node's start: what it wants, and whether it acts.
    struct Self {
        NodeId node;
        Incarnation incarnation;
        Facts facts;
        bool lease_live = false;
        bool starts = false;  // it waits to be live
    };

    explicit EtcdDuties(std::uint32_t copies) : copies_(copies) {}

    // --- of its own
    // It is the only member.
    static bool alone(const PoolState& state, const NodeId& self);
    // May `self` start now: no earlier incarnation of it lives?
    static bool may_start(const PoolState& state, const Self& self);
    static void start(EtcdNext& next, const Self& self, const EtcdView& view);
    // Ends this incarnation, or one before it that has ended already.
    static void leave(EtcdNext& next, const Self& self, const EtcdView& view);

    // --- what the pool lacks
    // Is it this node's turn to do something about it?
    bool turn(const PoolState& state, const Self& self, const EtcdView& view, BootTime now);
    void share(EtcdNext& next, const Self& self, const EtcdView& view, BootTime now) const;
    // Before any value is put: what is known to be on the nodes' disks.
    static void acknowledge(EtcdNext& next, const EtcdView& view);
    // Items that nobody needs any more; of a pool that leaves etcd, all but its value.
    static void tidy(EtcdNext& next, const EtcdView& view, BootTime now);

private:
    struct Look {  // what the answer depends on
        std::uint64_t incarnation = 0;
        PoolVersion version;
        std::vector<Ended> lapsed;
        std::vector<NodeId> away;
        bool first = false;
        bool operator==(const Look&) const = default;
    };
    Look look(const PoolState& state, const Self& self, const EtcdView& view, BootTime now) const;
    static std::vector<NodeId> away(const PoolState& state, const EtcdView& view, BootTime now);
    static std::vector<Ended> lapsed(const PoolState& state,
                                     const Self& self,
                                     const EtcdView& view,
                                     BootTime now);
    static std::size_t rank(const PoolState& state,
                            const Self& self,
                            const EtcdView& view,
                            BootTime now);

    const std::uint32_t copies_;
    std::optional<Look> look_;
    bool due_ = false;  // something, by look_
    BootTime due_since_{};
};

}  // namespace posthorse::replication
