// The control plane of one node on etcd: events in, effects out.
//
// Place     Pure. Driven by edge/etcd_control.h with a real etcd, clock and disk, and by tests/sim
//           with simulated ones. The counterpart of control_core.h, without votes: etcd agrees.
//           Built of etcd_view.h (what etcd holds, and since when), etcd_lineage.h (which values
//           descend from which), etcd_duties.h (what the next value is) and lease.h.
// Contract  Effects are carried out in this order: `changed` (stop and start owning what acting()
//           says), `write`, `transactions`. After a write is on disk comes written(), one at a
//           time; after `read` comes read() or failed(); after `watch_from` come watched() for
//           every revision from there on, until watch_ended() or the next `watch_from`. Every
//           transaction is answered, within the edge's deadline. acting() is the newest value heard
//           of; it counts only while lease_live(). A renewal is a transaction on this node's lease
//           item that also compares the pool's value: it is granted only to who has carried out the
//           newest one. The lease counts from when the renewal was *sent*, on this node's boot
//           clock, TTL minus the drift margin. An observer that saw a lease item unchanged for a
//           TTL on its own clock, connected all the while, evicts in a transaction comparing that
//           item's revision. etcd's own leases are not used. A node that does not reach etcd stops
//           at its TTL. tick() every 50 ms or so.
// Owner     One node, one start. Not thread-safe.
// Bounds    One pool's value, an item or two a member, one transaction of each sort on the way.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proto/types/function.h"
#include "replication/core/control_core.h"
#include "replication/core/etcd_port.h"

namespace posthorse::replication {

struct EtcdEffects {
    struct Request {
        std::uint64_t number;
        EtcdTransaction transaction;
    };
    bool changed = false;                         // acting() is another value
    std::optional<ControlRecord> write;           // then written()
    bool read = false;                            // everything under the prefix, then read()
    std::optional<Revision> watch_from;           // instead of any watch before
    std::vector<Request> transactions;            // then answered(), each
    bool probe = false;                           // sync the queue's store, then probed()
    std::vector<ControlEffects::Answer> answers;  // to propose()
    bool left = false;                            // leave() is done
    bool moved = false;    // the pool went back to the embedded control plane: record()
    std::string stranger;  // not empty: why this node must begin as a new one
    std::vector<ControlNotice> notices;
};

class EtcdCore {
public:
    using Effects = EtcdEffects;
    struct Settings {
        Facts facts;
        std::uint32_t expect = 0;  // the pool begins when so many wait for it; 0: with this node
        PoolSettings pool;
    };

    // `record`: what the disk holds; of a new node only `self`.
    EtcdCore(ControlRecord record, Settings settings, UniqueFunction<std::uint64_t()> random);

    // Begins this incarnation, or with `running` goes on with the one in the record, whose lease of
    // another control plane is good until then: a pool that moves.
    void start(BootTime now, Effects& out);
    void go_on(const Lease& lease, BootTime now, Effects& out);
    void tick(BootTime now, Effects& out);
    void read(EtcdSnapshot snapshot, BootTime now, Effects& out);
    void read_failed(std::string why, BootTime now, Effects& out);
    void watched(EtcdChanges changes, BootTime now, Effects& out);
    void watch_ended(std::string why, BootTime now, Effects& out);
    void answered(std::uint64_t number, EtcdAnswer answer, BootTime now, Effects& out);
    void written(BootTime now, Effects& out);
    void probed(BootTime now, Effects& out);
    void acted_on(PoolVersion version);

    // Makes a change; the answer names the request.
    std::uint64_t propose(Change change, BootTime now, Effects& out);
    // Stops owning, and ends this incarnation by consent; then `left`.
    void leave(BootTime now, Effects& out);
    const std::vector<PartitionId>& left_with() const noexcept;
    // When etcd's value is lost, or nobody can tell whether it descends from what this node knows:
    // a new incarnation of the pool, of this node alone. The operator vouches that `others`, all
    // the other members that this node knows, are off.
    Result<void> begin_without(const std::vector<NodeId>& others, BootTime now, Effects& out);

    // As control_core.h.
    Refusal judge(const Header& header) const;
    Header header(std::optional<NodeId> to) const;
    const PoolState& acting() const noexcept;
    const PoolState& committed() const noexcept;
    bool lease_live(BootTime now, Duration margin) const;
    bool running() const noexcept;
    NodeId self() const noexcept;
    Incarnation incarnation() const noexcept;
    ControlStatus status(BootTime now) const;
    const ControlRecord& record() const noexcept;
};

}  // namespace posthorse::replication
