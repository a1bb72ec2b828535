// What the control plane on etcd asks of etcd, and what it hears: values without any wire format.
//
// Place     core/etcd_core.h makes requests and takes what comes; edge/etcd_client.h carries them
//           over etcd's v3 gRPC API, edge/etcd_codec.h is the form of the items, and tests and
//           tests/sim have an etcd in memory behind the same words.
// Contract  All below one prefix of etcd's keys; a Key names the rest of it. Everything that is
//           heard is committed in etcd: snapshots are linearizable reads.
//           A transaction whose comparisons all hold is carried out as a whole; else nothing is,
//           and the answer brings all items as they are. Whose outcome is unknown may still be
//           carried out, once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proto/types/result.h"
#include "replication/core/pool_state.h"

namespace posthorse::replication {

// etcd's revision: one counter for all of its keys. 0: a key that is not there.
using Revision = StrongId<struct RevisionTag, std::int64_t>;

// --- items, and where they lie
// The agreed value: `pool`.
struct EtcdPool {
    PoolState state;
    // Random numbers, one for each version: the newest first, of state.version. They show which
    // values descend from which, and which transaction made one. At most `marks_max`.
    std::vector<std::uint64_t> marks;
    bool operator==(const EtcdPool&) const = default;
};
inline constexpr std::size_t marks_max = 512;

// Of a live incarnation, written again and again by its node: `lease/<node id>`.
struct EtcdLease {
    Incarnation incarnation;
    PoolVersion known;  // the newest value that is on the node's disk, and its mark
    std::uint64_t mark = 0;
    // Grows with every renewal; 0: its node cannot say yet that etcd was not put back to an old
    // state within the last TTL.
    std::uint64_t beat = 0;
    bool operator==(const EtcdLease&) const = default;
};

// Of a start that is not live yet, or may not renew its lease yet, written again and again:
// `waiting/<node id>`.
struct EtcdWaiting {
    Incarnation incarnation;
    Facts facts;
    PoolVersion known;  // 0: a new node
    std::uint64_t beat = 0;
    bool operator==(const EtcdWaiting&) const = default;
};

struct EtcdKey {
    enum class Kind : std::uint8_t { pool, lease, waiting };
    Kind kind = Kind::pool;
    NodeId node;  // none of `pool`
    auto operator<=>(const EtcdKey&) const = default;
};

// What cannot be read tells why.
struct EtcdUnreadable {
    std::string why;
    bool operator==(const EtcdUnreadable&) const = default;
};
using EtcdItem = std::variant<EtcdPool, EtcdLease, EtcdWaiting, EtcdUnreadable>;

// --- what is asked
struct EtcdCompare {  // the key was changed last in this revision
    EtcdKey key;
    Revision changed;
};
struct EtcdPut {
    EtcdKey key;
    EtcdItem item;
};
struct EtcdTransaction {
    std::vector<EtcdCompare> when;
    std::vector<EtcdPut> puts;
    std::vector<EtcdKey> deletes;
};

// --- what is heard
struct EtcdEntry {
    EtcdKey key;
    Revision changed;
    EtcdItem item;
};
struct EtcdSnapshot {   // everything under the prefix; keys of no known kind are left out
    Revision revision;  // of etcd, when it was read
    std::vector<EtcdEntry> entries;
};
struct EtcdChanges {  // of one revision, in the order of revisions, none left out
    Revision revision;
    std::vector<EtcdEntry> put;
    std::vector<EtcdKey> deleted;
};
struct EtcdAnswer {
    enum class Outcome : std::uint8_t {
        done,     // `revision` is what it was carried out in
        refused,  // a comparison did not hold: `snapshot`
        unknown,  // `why`; it may still be carried out
    };
    Outcome outcome = Outcome::unknown;
    Revision revision;
    EtcdSnapshot snapshot;
    std::string why;
};

}  // namespace posthorse::replication
