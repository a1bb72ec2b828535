// Leases: the right of (node, incarnation) to act, from both ends, and what a node may act on.
//
// Place     Pure. control_core.h holds a Lease, leader_duties.h a LeaseBook.
// Contract  No two nodes are ever entitled to one partition, whatever messages, clocks within the
//           drift margin, and crashes do:
//           - A node counts from when it *sent* a renewal, TTL minus the drift margin; the leader
//             from when that arrived, the whole TTL. Each on its own boot clock; times are never
//             compared between machines.
//           - The leader answers only after a majority confirmed its term in a round that began
//             after the renewal arrived, and after it committed a value in its own term; a new one
//             gives every live incarnation a whole TTL.
//           - Once it proposes the end of an incarnation, or has accepted a value that holds it, it
//             never renews that one.
//           - What was granted to another incarnation of the node, an earlier one or one that runs
//             on a copy of its directory, does not count.
//           tests/model checks this in every interleaving of a small scope.
// Owner     One node. Not thread-safe.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "proto/types/time.h"
#include "replication/core/coordination_fsm.h"
#include "replication/core/pool_state.h"

namespace posthorse::replication {

// What clocks of two machines may drift apart within a TTL: a twentieth, half a second of 10 s.
constexpr Duration drift_margin(Duration ttl) {
    return ttl / 20;
}

// --- the node's end
class Lease {
public:
    // Of this incarnation from now on: no renewal of an earlier one that is still under way counts.
    void begin(const Incarnation& incarnation);
    // The renewal that `incarnation` sent at `sent` is granted for `ttl`. True: it counts.
    bool granted(const Incarnation& incarnation, BootTime sent, Duration ttl);

    bool live(BootTime now, Duration margin) const { return expires_ && now + margin < *expires_; }
    std::optional<BootTime> expires() const noexcept { return expires_; }
    bool operator==(const Lease&) const = default;

private:
    Incarnation incarnation_;
    std::optional<BootTime> expires_;
};

// In a configuration of one or two voters nobody can be evicted without itself: it may go on with
// its own when the lease runs out. Each configuration by itself must say so: either may be in
// force. Not once it has accepted that the pool goes on elsewhere: there it can.
bool cannot_be_evicted(const Published& accepted, const NodeId& self);

// Both configurations are of this node alone: nobody else has a say.
bool votes_alone(const Published& accepted, const NodeId& self);

// An incarnation that is live by what is committed and by what is accepted may act now.
bool may_act(const Lease& lease,
             const Published& accepted,
             const NodeId& self,
             BootTime now,
             Duration margin);

// The committed value as far as this node may act on it. To stop, an accepted value suffices: what
// an accepted one takes from `self`, or all when it ends its incarnation, has no owner here. To
// start, only a committed one counts.
PoolState acting_state(const PoolState& committed,
                       const PoolState& accepted,
                       const NodeId& self,
                       const Incarnation& incarnation);

// The same, and whether this incarnation acts at all. `stops`: it leaves, or was disowned. Nothing
// without both values.
struct Acting {
    PoolState state;
    bool running = false;
};
Acting acting_of(const Value& committed,
                 const Value& accepted,
                 const NodeId& self,
                 const Incarnation& incarnation,
                 bool stops);

// --- the leader's end
class LeaseBook {
public:
    struct Renewal {
        NodeId node;
        Incarnation incarnation;
        BootTime sent;         // on the node's clock: only echoed
        PoolVersion acted_on;  // newest version that the node has carried out
        bool operator==(const Renewal&) const = default;
    };
    struct Waiting {
        Renewal renewal;
        std::uint64_t round;  // that must be confirmed
        BootTime arrived;
        bool operator==(const Waiting&) const = default;
    };
    struct Grant {
        Renewal renewal;
        Duration ttl;
    };

    // This node was elected and has committed `state` in its own term.
    void lead(const PoolState& state, BootTime now);
    // Not the leader any more.
    void stop();
    bool leads() const noexcept { return leads_; }

    // Waits for a round above `newest_round`, the last one that began before now.
    void arrived(Renewal renewal, std::uint64_t newest_round, BootTime now);
    // A majority confirmed the term in rounds up to `round`. `accepted`: the newest value that this
    // node has accepted.
    std::vector<Grant> confirmed(std::uint64_t round, const PoolState& accepted, BootTime now);

    // Ends in it are decided from now on, whether it is committed or not.
    void proposed(const PoolState& next);
    void committed(const PoolState& state, BootTime now);

    // Live incarnations whose lease ended.
    std::vector<Ended> lapsed(BootTime now) const;
    std::optional<BootTime> expires(const NodeId& node) const;
    const std::vector<Waiting>& waiting() const noexcept { return waiting_; }

    bool operator==(const LeaseBook&) const = default;

private:
    struct Entry {
        Incarnation incarnation;
        BootTime expires;
        bool ending = false;
        bool operator==(const Entry&) const = default;
    };
    struct Version {
        PoolVersion version;
        BootTime committed;
        bool operator==(const Version&) const = default;
    };

    void begin(const Member& member, BootTime now, Duration ttl);
    bool lags(const Renewal& renewal, BootTime now, Duration ttl) const;

    bool leads_ = false;
    Duration ttl_{};
    std::map<NodeId, Entry> entries_;
    std::vector<Waiting> waiting_;
    std::deque<Version> versions_;  // those of the last TTL, and one before
};

}  // namespace posthorse::replication
