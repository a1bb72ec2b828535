// The control plane of one node on etcd: events in, effects out.
//
// Place     Pure. Driven by edge/etcd_control.h with a real etcd, clock and disk, and by tests/sim
//           with simulated ones. The counterpart of control_core.h, without votes: etcd agrees.
//           Built of etcd_view.h (what etcd holds, and since when), etcd_lineage.h (which values
//           descend from which), etcd_duties.h (what the next value is) and lease.h.
// Contract  Effects are carried out in this order: `changed` (stop and start owning what acting()
//           says), `write`, `transactions`. After a write is on disk comes written(), one at a
//           time; after `read` comes read() or read_failed(); after `watch_from` come watched() for
//           every revision from there on, until watch_ended() or the next `watch_from`. Every
//           transaction is answered, within the edge's deadline. acting() is the newest value that
//           is on this node's disk, without what a newer one that was heard of takes: so whoever
//           acted on a value that a restored etcd has lost remembers it. It counts only while
//           lease_live(). A renewal is a transaction on this node's lease
//           item that also compares the pool's value: it is granted only to who has carried out the
//           newest one. The lease counts from when the renewal was *sent*, on this node's boot
//           clock, TTL minus the drift margin. An observer that saw a lease item unchanged for a
//           TTL on its own clock, connected all the while, evicts in a transaction comparing that
//           item's revision. etcd's own leases are not used. A node that does not reach etcd stops
//           at its TTL. Who has no lease takes one only when etcd was not put back within the last
//           TTL (etcd_view.h), or in a pool of its own. tick() every 50 ms or so.
// Owner     One node, one start. Not thread-safe.
// Bounds    One pool's value, an item or two a member, one transaction of each sort on the way.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proto/types/function.h"
#include "replication/core/control_core.h"
#include "replication/core/etcd_duties.h"
#include "replication/core/etcd_lineage.h"
#include "replication/core/etcd_view.h"
#include "replication/core/lease.h"
#include "replication/core/write_gate.h"

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

    // Begins this incarnation.
    void start(BootTime now, Effects& out);
    // Instead: goes on with the one in the record, whose value was agreed on by the embedded
    // control plane, and whose lease was given there. A last value (SetControl) must be committed;
    // with any other this node only follows a pool that has moved already. control_move.h
    void go_on(const Lease& lease, BootTime now, Effects& out);
    void tick(BootTime now, Effects& out);
    void read(EtcdSnapshot snapshot, BootTime now, Effects& out);
    void read_failed(std::string why, BootTime now, Effects& out);
    void watched(EtcdChanges changes, BootTime now, Effects& out);
    void watch_ended(std::string why, BootTime now, Effects& out);
    void answered(std::uint64_t number, EtcdAnswer answer, BootTime now, Effects& out);
    void written(BootTime now, Effects& out);
    void probed(BootTime now, Effects& out);
    void acted_on(PoolVersion version) { acted_on_ = std::max(acted_on_, version); }

    // Makes a change; the answer names the request.
    std::uint64_t propose(Change change, BootTime now, Effects& out);
    // Stops owning, and ends this incarnation by consent; then `left`.
    void leave(BootTime now, Effects& out);
    const std::vector<PartitionId>& left_with() const noexcept { return left_with_; }
    // When etcd's value is lost, or nobody can tell whether it descends from what this node knows:
    // a new incarnation of the pool, of this node alone. The operator vouches that `others`, all
    // the other members that this node knows, are off.
    Result<void> begin_without(const std::vector<NodeId>& others, BootTime now, Effects& out);

    // As control_core.h.
    Refusal judge(const Header& header) const;
    Header header(std::optional<NodeId> to) const;
    const PoolState& acting() const noexcept { return acting_; }
    const PoolState& committed() const noexcept;
    bool lease_live(BootTime now, Duration margin) const;
    bool leased(BootTime now) const { return lease_.live(now, {}); }
    bool running() const noexcept { return running_; }
    NodeId self() const noexcept { return record_.self; }
    Incarnation incarnation() const noexcept { return record_.incarnation; }
    ControlStatus status(BootTime now) const;
    const ControlRecord& record() const noexcept { return record_; }
    const Lease& lease() const noexcept { return lease_; }
    // Who decides for the pool now; not before what it needs of this node is on the disk.
    std::optional<PoolControl> gone_to() const;

private:
    // Why what etcd holds is not what this node can act on.
    enum class Trouble : std::uint8_t {
        none,
        emptied,       // no pool, and this node remembers one
        other_pool,    // of another name
        unreadable,    // of a later release, perhaps
        went_back,     // and nobody has changed it since
        too_far_back,  // nobody can tell whether it is of this node's pool
        moved_away,    // it decides by its members, and this node is none
    };
    struct Asked {
        std::uint64_t request;
        Change change;
        BootTime give_up;
        bool sent = false;  // in the change that is on the way
    };
    struct Sent {
        std::uint64_t number;
        BootTime when;
        Revision heard;  // by then
    };
    struct Step {  // a change of the pool's value, until it is known to be done or never to be
        EtcdTransaction transaction;
        EtcdPool pool;
        bool leaves = false;
        std::optional<Sent> sent;  // none: to be sent (again)
    };

    // --- lifecycle
    void begin_incarnation();
    void judge_incarnation(Effects& out);
    void estrange(const std::string& why, Effects& out);
    void finish_leaving(Effects& out);
    void go_back();
    void refresh_acting(Effects& out);

    // --- what is heard
    void look(BootTime now, Effects& out);
    bool entering() const { return value() && record_.marks.empty() && !gone_; }
    bool may_enter(const EtcdView::Seen* seen) const;
    void hear(const EtcdPool& pool, Revision changed, BootTime now, Effects& out);
    void adopt(const EtcdPool& pool, Revision changed, BootTime now, Effects& out);
    bool is_behind(const PoolState& heard) const;
    void note_twin(const EtcdChanges& changes, Effects& out);
    void set_trouble(Trouble trouble, BootTime now, Effects& out);
    void take(EtcdSnapshot snapshot, Revision asked_at, BootTime now, Effects& out);
    void answer_renewal(const Sent& sent, const EtcdAnswer& answer, BootTime now);
    void answer_step(const EtcdAnswer& answer, BootTime now, Effects& out);

    // --- what is asked
    void settle(BootTime now, Effects& out);
    void read_again(BootTime now, Effects& out);
    void wait(BootTime now, Effects& out);
    void renew(BootTime now, Effects& out);
    bool may_renew(BootTime now) const;
    void give_up(BootTime now);
    Sent send(EtcdTransaction transaction, BootTime now, Effects& out);

    // --- changes of the value: etcd_change.cc
    void change(BootTime now, Effects& out);
    void begin_pool(BootTime now, Effects& out);
    std::vector<Start> beginners(BootTime now) const;
    void enter(BootTime now, Effects& out);
    void put_back(BootTime now, Effects& out);
    bool others_put_back(BootTime now) const;
    bool end_of_old(EtcdNext& next, BootTime now) const;
    void put_next(BootTime now, Effects& out);
    bool others_know_more(BootTime now) const;
    bool may_leave() const;
    void carry_out_asked(EtcdNext& next);
    void answer_sent(std::optional<Error> error);
    void propose_value(EtcdNext next, bool leaves, BootTime now, Effects& out);
    void resolve(Effects& out);

    EtcdDuties::Self own(BootTime now) const;
    const Value& value() const noexcept { return record_.agreement.accepted.value; }
    Lineage known() const;
    bool on_disk() const;
    bool is_alone() const;
    bool is_member() const;
    std::string phase() const;
    std::string waits_for(BootTime now) const;

    const Settings settings_;
    UniqueFunction<std::uint64_t()> random_;
    ControlRecord record_;
    WriteGate gate_;
    EtcdView view_;
    EtcdDuties duties_;
    Lease lease_;
    PoolState acting_;
    PoolVersion acted_on_;
    bool running_ = false;
    bool running_before_ = false;  // this incarnation was live in a value
    bool judged_ = false;          // a value was taken since this process began
    bool leaving_ = false;
    bool left_ = false;
    bool gone_ = false;  // the pool is, to the embedded control plane
    bool estranged_ = false;
    std::vector<PartitionId> left_with_;
    Trouble trouble_ = Trouble::none;
    BootTime trouble_since_{};
    std::string unreached_;      // why, when etcd is not reached
    Revision pool_changed_;      // of the value that was taken
    std::set<Incarnation> own_;  // of this process
    unsigned twin_writes_ = 0;   // of another process in this node's name
    // --- on the way, and due
    std::uint64_t last_number_ = 0;
    bool reading_ = false;
    bool read_due_ = false;
    Revision read_at_;
    BootTime next_read_{};
    std::optional<Sent> renewal_;
    BootTime next_renewal_{};
    bool probing_ = false;
    bool probed_ = false;  // since the last renewal
    std::uint64_t beat_ = 0;
    std::optional<Sent> waiting_;
    BootTime next_waiting_{};
    std::uint64_t waits_ = 0;
    std::optional<Step> step_;
    bool tend_ = false;  // look for what the pool lacks
    std::deque<Asked> asked_;
    std::uint64_t last_request_ = 0;
    std::vector<ControlEffects::Answer> answers_;
};

}  // namespace posthorse::replication
