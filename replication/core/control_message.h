// What nodes of a pool say to each other about the pool: values, one way each.
//
// Place     The cores make and take them; edge/control_codec.h is their form on the wire
//           (posthorse/v1/pool.proto).
// Contract  Any may be lost, repeated, late or out of order, and nothing waits for an answer in the
//           same connection. Times in them are the sender's own, echoed, never compared.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proto/types/time.h"
#include "replication/core/coordination_fsm.h"
#include "replication/core/pool_state.h"

namespace posthorse::replication {

// On every message: who speaks, of which pool, to whom.
struct Header {
    std::string pool_id;  // empty: of no pool yet
    std::uint64_t pool_incarnation = 0;
    NodeId from;
    Incarnation incarnation;
    std::string name;          // of the sender; a certificate of one node must carry it
    std::string address;       // where it is reached
    std::optional<NodeId> to;  // nullopt: whoever lives at the address (Hello)
    bool operator==(const Header&) const = default;
};

// --- the agreement
struct StartJoin {
    Term term;
    bool operator==(const StartJoin&) const = default;
};
struct Accepted {
    Place place;
    bool operator==(const Accepted&) const = default;
};
struct Commit {
    Place place;
    bool operator==(const Commit&) const = default;
};

// --- elections
struct PreVote {  // "would you join me?": asked before a term is spent
    std::uint64_t round = 0;
    Place accepted;
    bool operator==(const PreVote&) const = default;
};
struct PreVoteReply {
    std::uint64_t round = 0;
    bool granted = false;
    Term term;
    bool operator==(const PreVoteReply&) const = default;
};
struct Heartbeat {
    Term term;
    std::uint64_t round = 0;
    Place committed;
    bool joined = false;  // the receiver's Join of this term has arrived
    // What is left of the leases, for people: on the leader's clock.
    std::vector<std::pair<NodeId, Duration>> leases;
    bool operator==(const Heartbeat&) const = default;
};
struct HeartbeatReply {
    Term term;
    std::uint64_t round = 0;
    Place accepted;                // on the disk
    bool configuration_committed;  // on the disk: no change of voters is half done
    bool operator==(const HeartbeatReply&) const = default;
};
struct TakeLead {  // the leader leaves: the receiver need not wait for its silence
    Term term;
    bool operator==(const TakeLead&) const = default;
};

// --- leases and changes, from any node to the leader
struct Renew {
    BootTime sent;
    PoolVersion acted_on;
    Facts facts;
    bool operator==(const Renew&) const = default;
};
struct Renewed {
    BootTime sent;  // of the renewal
    Incarnation incarnation;
    Duration ttl{};
    bool operator==(const Renewed&) const = default;
};
struct Propose {
    std::uint64_t request = 0;
    Change change;
};
struct Proposed {
    std::uint64_t request = 0;
    std::optional<Error> error;  // none: committed
};
struct LeaveRequest {};  // the sender has stopped and wants to go
struct LeaveDone {
    Incarnation incarnation;
    std::vector<PartitionId> holds;  // partitions that list it still: nobody else has them
};

// --- before membership
enum class PoolStanding : std::uint8_t {
    looking,   // of no pool, and has promised nothing
    promised,  // of no pool; its first configuration is decided
    member,    // of header.pool_id
};
struct Hello {
    std::string asked_at;            // the address that it is sent to: nodes may have several
    std::vector<std::string> known;  // addresses of other candidates
};
struct HelloReply {
    PoolStanding standing = PoolStanding::looking;
    std::string asked_at;  // of the Hello
    std::vector<std::string> known;
    // --- of a member
    std::optional<NodeId> leader;
    std::string leader_address;
    // What the pool knows of who asked: its disk must not be behind this.
    bool is_member = false;
    Incarnation incarnation;
    Place acknowledged;
    Term term;
    // Another incarnation of who asked answers now: the one that asked is a copy.
    bool another_lives = false;
};
struct AskToJoin {  // to the leader of the pool in the header; the incarnation is in the header
    Facts facts;
};
struct Promise {  // the coordinator's question before a pool begins
    std::uint64_t attempt = 0;
    Value genesis;  // its members are the first voters; null: earlier promises are given back
};
struct Promised {  // to the coordinator, and again until it answers
    std::uint64_t attempt = 0;
    std::string pool_id;
};
struct Begun {  // the promised pool has begun
    std::string pool_id;
};

// The receiver will not have it; for the sender to know why.
enum class Refusal : std::uint8_t {
    none,
    other_pool,         // of another pool, or of an earlier incarnation of it
    not_a_member,       // the pool does not know the sender
    stale_incarnation,  // a later one was heard, or another with the same number
    wrong_node,         // meant for a node that does not live here (any more)
    not_ready,          // this node has not found its pool
};
const char* to_string(Refusal refusal) noexcept;
// "You are not who the pool knows": the receiver is a stranger (its disk went back, or is a copy).
struct Estranged {
    std::string why;
    Incarnation incarnation;  // of the receiver, that this is said of
};

using Message = std::variant<StartJoin,
                             Join,
                             Published,
                             Accepted,
                             Commit,
                             PreVote,
                             PreVoteReply,
                             Heartbeat,
                             HeartbeatReply,
                             TakeLead,
                             Renew,
                             Renewed,
                             Propose,
                             Proposed,
                             LeaveRequest,
                             LeaveDone,
                             Hello,
                             HelloReply,
                             AskToJoin,
                             Promise,
                             Promised,
                             Begun,
                             Estranged>;

struct Outgoing {
    std::string address;
    Header header;
    Message message;
};

// What a node must remember, on its disk.
struct PromisedPool {
    NodeId coordinator;
    std::uint64_t attempt = 0;
    Value genesis;
    bool operator==(const PromisedPool&) const = default;
};
struct ControlRecord {
    NodeId self;
    Incarnation incarnation;  // of the newest start
    std::string pool_id;      // empty: of no pool yet
    std::uint64_t pool_incarnation = 0;
    std::optional<PromisedPool> promise;
    Durable agreement;
    std::vector<std::uint64_t> marks;  // of a pool on etcd, of its newest values: etcd_port.h
    bool operator==(const ControlRecord&) const = default;
};

// On what a node says whose disk holds `own`.
inline Header header_of(const ControlRecord& own, const Facts& facts, std::optional<NodeId> to) {
    return {own.pool_id, own.pool_incarnation, own.self, own.incarnation,
            facts.name,  facts.address,        to};
}

// Of another pool than this node's, or of another incarnation of it.
inline bool is_of_another_pool(const ControlRecord& own, const Header& header) {
    return !own.pool_id.empty() && !header.pool_id.empty() &&
           (header.pool_id != own.pool_id || header.pool_incarnation != own.pool_incarnation);
}

}  // namespace posthorse::replication
