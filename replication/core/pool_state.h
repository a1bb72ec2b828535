// The value that a pool agrees on: who is in it, who lives, who owns which part of the queue; and
// the only legal changes of it.
//
// Place     Pure. leader_duties.h computes the next value with changed(); everybody reads it.
// Contract  changed() returns the changed value or says why the change is not legal now, and
// depends
//           on nothing but its arguments. A partition's epoch grows with every change of its owner,
//           of its owner's incarnation or of its in-sync set. An in-sync set is never emptied: when
//           nobody in it lives it stays as it is, and the partition waits, without an owner, for
//           the first of it to come back.
//           Sets name nodes, not incarnations: what a node acknowledged is on its disk.
// Errors    conflict: the change does not fit the value (any more), or there would be more than the
//           bounds; the text says what.
// Bounds    The constants below: a value that peers would not take must not come to be, or nothing
//           could be agreed on any more.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proto/types/ids.h"
#include "proto/types/result.h"
#include "replication/core/place.h"

namespace posthorse::replication {

inline constexpr std::size_t members_max = 256;
inline constexpr std::size_t partitions_max = 4096;

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
    bool solo = false;       // for `degrade`: in-sync only with its owner
    bool unvouched = false;  // its last holder was removed, and may have sent any of its mail

    bool holds(const NodeId& node) const;
    // It goes on at nodes that may have had a copy before, and takes nothing new.
    void lose_last_holder();
    bool operator==(const PartitionState&) const = default;
};

// What a node says of itself.
struct Facts {
    std::string name;     // for people, and for certificates of one node
    std::string address;  // "host:port" of its peer port
    std::string zone;     // copies and voters are spread over zones; may be empty
    std::string release;
    std::uint32_t features = 0;  // level of what it understands: mixed releases use the lowest
    bool etcd = false;           // it has been told where etcd is: the pool may move there
    bool operator==(const Facts&) const = default;
};

struct Member {
    NodeId id;
    Facts facts;
    Incarnation incarnation;  // the newest that ever began
    bool live = false;        // it has not ended
    bool draining = false;    // gets no new partitions, copies or vote until its next start
    Place acknowledged;       // the newest value that it was known to have when this one was made
    bool operator==(const Member&) const = default;
};

struct PoolSettings {
    std::uint32_t copies = 2;
    Duration lease_ttl = std::chrono::seconds{10};
    bool operator==(const PoolSettings&) const = default;
};

// Which control plane decides what comes after a value.
enum class PoolControl : std::uint8_t {
    embedded,  // the members themselves: election.h
    etcd,      // etcd_core.h
};
const char* to_string(PoolControl control) noexcept;

struct PoolState {
    std::string pool_id;
    std::uint64_t incarnation = 1;  // of the pool: a forced removal begins another
    PoolVersion version;
    PoolControl control = PoolControl::embedded;
    PoolSettings settings;
    std::vector<Member> members;             // sorted by id
    std::vector<PartitionState> partitions;  // sorted by id
    PartitionId next_partition{1};           // numbers are never used again

    const PartitionState* find(PartitionId id) const;
    const Member* member(const NodeId& id) const;
    // Is this the incarnation of `node` that may act?
    bool is_live(const NodeId& node, const Incarnation& incarnation) const;
    bool is_live(const NodeId& node) const;
    // What every member understands.
    std::uint32_t features() const;
    bool operator==(const PoolState&) const = default;
};

// --- who lives
struct Start {  // a member's next incarnation, or a new member
    NodeId node;
    Incarnation incarnation;
    Facts facts;
    bool operator==(const Start&) const = default;
};
struct Ended {
    NodeId node;
    Incarnation incarnation;
    bool operator==(const Ended&) const = default;
};
// Ends incarnations, by the leader; waiting ones of the same nodes start in the same change and
// keep their places. Sets in which only silent nodes live keep the dead too: when the silent ones
// turn out to be dead, with their disks perhaps, whoever of the set comes back goes on.
struct Evict {
    std::vector<Ended> ended;
    std::vector<Start> starts;
    std::vector<NodeId> silent;  // live, and not heard lately
};
struct Leave {  // by consent: it has stopped
    Ended ended;
};
enum class Lost : std::uint8_t {
    refuse,  // when only this node holds something
    accept,  // the others go on with what they have of it: copies of before
};
struct RemoveMember {
    NodeId node;
    Lost lost = Lost::refuse;
};
struct SetDraining {
    NodeId node;
    bool draining = true;
};

// --- who holds what; each names the epoch that it was computed from
// Narrows an in-sync set. A node that is not in it is a newcomer whose widening is called off: only
// the epoch grows, so that an AddHolder that is still under way does not fit any more.
struct DropHolder {
    PartitionId partition;
    Epoch epoch;
    NodeId holder;
};
struct AddHolder {  // widens it; the holder has everything
    PartitionId partition;
    Epoch epoch;
    NodeId holder;
};
struct HandOver {  // by an owner that has stopped, to a live node of the in-sync set
    PartitionId partition;
    Epoch epoch;
    NodeId to;
};
struct Vouch {  // by its owner, which has put in doubt all that the removed one may have sent
    PartitionId partition;
    Epoch epoch;
};
struct RetirePartition {  // closing and empty: it goes
    PartitionId partition;
    Epoch epoch;
};
struct OpenPartition {
    std::vector<NodeId> in_sync;  // the owner first
    bool solo = false;
};
struct ClosePartition {
    PartitionId partition;
};

struct SetCopies {
    std::uint32_t copies;
};
// The last change under one control plane: nothing more is decided there, no lease renewed, and the
// other one goes on from the value that holds it.
struct SetControl {
    PoolControl control;
};

using Change = std::variant<Start,
                            Evict,
                            Leave,
                            RemoveMember,
                            SetDraining,
                            DropHolder,
                            AddHolder,
                            HandOver,
                            Vouch,
                            RetirePartition,
                            OpenPartition,
                            ClosePartition,
                            SetCopies,
                            SetControl>;

Result<PoolState> changed(PoolState state, const Change& change);

// The owner that may ask for this change, when it is one that only an owner may ask for.
std::optional<PartitionId> partition_of(const Change& change);

// What an owner alone may ask for, the live incarnation of the owner must ask for. What the pool
// alone decides nobody may ask for.
Result<void> may_ask(const PoolState& state,
                     const Change& change,
                     const NodeId& node,
                     const Incarnation& incarnation);

// A new incarnation of the pool, of `self` alone, which has not started in it yet. `others` must be
// all the other members.
Result<PoolState> begun_without(PoolState state,
                                const NodeId& self,
                                const std::vector<NodeId>& others);

}  // namespace posthorse::replication
