// The control plane of one node: membership, agreement, leases; events in, effects out.
//
// Place     Pure. Driven by edge/embedded_control.h with real clocks, disks and peers, and by
//           tests/sim/control with simulated ones. Built of founding.h (no pool yet), inquiry.h
//           (who am I), election.h, leader_duties.h (when leading), lease.h and write_gate.h.
// Contract  Effects are carried out in this order: `changed` (stop and start owning what acting()
//           says), `write`, `sends`. A node that accepts a value that takes something from it so
//           stops before it answers. After a write is on disk comes written(), one at a time.
//           acting() is what this node may act on: the newest committed value, without what a newer
//           accepted one takes. It counts only while lease_live().
//           tick() every 50 ms or so.
// Owner     One node, one start. Not thread-safe.
// Errors    A refused message changes nothing; receive() says why.
// Bounds    One value of the pool, some messages a peer, proposals that wait for their answer.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "replication/core/control_message.h"
#include "replication/core/election.h"
#include "replication/core/founding.h"
#include "replication/core/inquiry.h"
#include "replication/core/leader_duties.h"
#include "replication/core/lease.h"
#include "replication/core/write_gate.h"

namespace posthorse::replication {

struct ControlNotice {  // for the log
    std::string event;
    std::string what;
};

struct ControlEffects {
    bool changed = false;                // acting() is another value
    std::optional<ControlRecord> write;  // then written()
    std::vector<Outgoing> sends;
    bool look = false;   // look up pool.join, then found()
    bool probe = false;  // sync the queue's store, then probed()
    struct Answer {
        std::uint64_t request;
        std::optional<Error> error;
    };
    std::vector<Answer> answers;  // to propose()
    bool left = false;            // leave() is done
    std::string stranger;         // not empty: why this node must begin as a new one
    std::vector<ControlNotice> notices;
};

// What is known of the pool from here, for people.
struct ControlStatus {
    PoolControl control = PoolControl::embedded;
    std::string phase;  // "looking for a pool", "asking who it is", "joining", "waiting", "member"
    std::string waits_for;
    NodeId self;
    Incarnation incarnation;
    Term term;
    std::optional<NodeId> leader;
    Configuration voters;
    bool voters_change = false;          // from one configuration to another
    std::optional<Duration> lease_left;  // of this node
    bool evictable = true;               // false: the pool can decide nothing without this node
    std::map<NodeId, Duration> leases;   // as the leader said last
    std::uint64_t refused = 0;           // messages, since start
};

class ControlCore {
public:
    using Effects = ControlEffects;
    struct Settings {
        Facts facts;
        bool alone = true;         // no pool.join: a pool of this node begins at once
        std::uint32_t expect = 0;  // pool.expect
        PoolSettings pool;
        Election::Settings election;
    };

    // `record`: what the disk holds; of a new node only `self`.
    ControlCore(ControlRecord record, Settings settings, UniqueFunction<std::uint64_t()> random);

    // Begins this incarnation.
    void start(BootTime now, Effects& out);
    // Instead: goes on with the one in the record, whose value was agreed on elsewhere, and whose
    // lease was given there.
    void go_on(const Lease& lease, BootTime now, Effects& out);
    void tick(BootTime now, Effects& out);
    Refusal receive(const Header& header, const Message& message, BootTime now, Effects& out);
    // What a message of any member, under this header, would meet: for what passes beside, such as
    // the data plane's streams. It must name this node. not_ready: no value says who is a member.
    Refusal judge(const Header& header, BootTime now) const;
    // For the same: who this node is, as far as its disk remembers.
    Header header(std::optional<NodeId> to) const;
    void found(std::vector<std::string> addresses, bool complete);
    void written(BootTime now, Effects& out);
    void probed(BootTime now, Effects& out);
    // The data plane has carried out this version of acting().
    void acted_on(PoolVersion version) { acted_on_ = std::max(acted_on_, version); }

    // Asks the leader for a change; the answer names the request.
    std::uint64_t propose(Change change, BootTime now, Effects& out);
    // Stops owning, and ends this incarnation by consent; then `left`.
    void leave(BootTime now, Effects& out);
    // After `left`: partitions that only this node holds, as the pool knows it. This node's own
    // value may be older: whoever else held them may have left just before.
    const std::vector<PartitionId>& left_with() const noexcept { return left_with_; }
    // When a majority is lost for good: a new incarnation of the pool, of this node alone. The
    // operator vouches that `others`, all the other members, are off.
    Result<void> begin_without(const std::vector<NodeId>& others, BootTime now, Effects& out);

    const PoolState& acting() const noexcept { return acting_; }
    // The newest committed value; empty before.
    const PoolState& committed() const;
    bool lease_live(BootTime now, Duration margin) const;
    bool unevictable() const;
    bool leased(BootTime now) const { return lease_.live(now, {}); }
    // Its incarnation is live in what is committed and accepted.
    bool running() const noexcept { return running_; }
    bool leads() const { return election_ && election_->leads(); }
    NodeId self() const noexcept { return record_.self; }
    Incarnation incarnation() const noexcept { return record_.incarnation; }
    const ControlRecord& record() const noexcept { return record_; }
    const Lease& lease() const noexcept { return lease_; }
    // Who decides for the pool now, when it is not its members any more.
    std::optional<PoolControl> gone_to() const;
    ControlStatus status(BootTime now) const;
    const Election* election() const { return election_ ? &*election_ : nullptr; }

private:
    struct Asked {
        std::uint64_t request;
        Change change;
        BootTime give_up;
        BootTime next_send;
    };
    struct Greeted {  // another incarnation of a member that asks who it is
        Incarnation incarnation;
        std::uint64_t round;
        bool another_lives = false;
    };
    struct Loop {  // a message to this node itself
        Header header;
        Message message;
    };

    // --- lifecycle
    void begin_incarnation();
    void seek();
    void begin_pool(const Value& value, BootTime now);
    void join_pool(const Founding::Pool& pool, BootTime now);
    void enter(BootTime now);
    void look_again();
    bool is_member() const;
    bool seeks_pool() const { return !election_ && !inquiry_; }
    void judge_incarnation(Effects& out);
    void estrange(const std::string& why, Effects& out);
    void finish_leaving(BootTime now);
    std::string phase(BootTime now) const;

    // --- time
    void tick_founding(BootTime now);
    void tick_inquiry(BootTime now);
    void tick_member(BootTime now, Effects& out);
    void tick_asked(BootTime now);
    void renew(BootTime now, Effects& out);
    void greet_members(BootTime now);
    void ask_to_leave(BootTime now);

    // --- messages
    Refusal check(const Header& header, const Message& message, BootTime now) const;
    Refusal check_member(const Header& header, const Message& message, BootTime now) const;
    bool is_stale(const Header& header) const;
    void part(const Header& header, BootTime now, Effects& out);
    void learn(const Header& header, const Message& message);
    void dispatch(const Header& header, const Message& message, BootTime now, Effects& out);
    template <class M>
    void on(const Header& header, const M& message, BootTime now, Effects& out);
    void take_answer(const Header& header, const Renewed& renewed, BootTime now, Effects& out);
    void take_answer(const Header& header, const Proposed& proposed, BootTime now, Effects& out);
    void take_answer(const Header& header, const LeaveDone& done, BootTime now, Effects& out);
    void take_answer(const Header& header, const Estranged& word, BootTime now, Effects& out);
    void take_hello_reply(const Header& header,
                          const HelloReply& reply,
                          BootTime now,
                          Effects& out);
    void greet_back(const Header& header, const Hello& hello, BootTime now);
    HelloReply hello_reply(const Header& header, BootTime now);
    void note_another(const Header& header, const HeartbeatReply& reply);
    void note_leases(const Heartbeat& heartbeat, BootTime now);
    void fill_leases(Heartbeat& heartbeat, BootTime now) const;

    // --- effects
    void settle(BootTime now, Effects& out);
    void lead_on(BootTime now, Effects& out);
    void absorb(ElectionOutput output, BootTime now, Effects& out);
    void absorb(FoundingOutput output, BootTime now);
    void absorb(LeaderDuties::Sends sends);
    void refresh_acting(Effects& out);
    void route(std::vector<Outgoing> messages, Effects& out);
    void send(std::optional<NodeId> to, const std::string& address, Message message);
    void send_gated(std::optional<NodeId> to, const std::string& address, Message message);
    Outgoing outgoing(std::optional<NodeId> to, const std::string& address, Message message) const;
    std::string address_of(const NodeId& node) const;

    const Settings settings_;
    UniqueFunction<std::uint64_t()> random_;
    ControlRecord record_;
    WriteGate gate_;
    std::optional<Founding> founding_;  // from start() on
    std::optional<Inquiry> inquiry_;    // after a restart, for a moment
    std::optional<Election> election_;  // of a pool
    LeaderDuties duties_;
    Lease lease_;
    PoolState acting_;
    bool running_ = false;
    bool running_before_ = false;  // this incarnation was live in a committed value
    bool leaving_ = false;
    bool left_ = false;
    std::vector<PartitionId> left_with_;
    bool estranged_ = false;
    bool outsider_ = false;  // members say that the pool does not list this node
    BootTime entered_{};
    std::string entry_address_;  // of the leader of the pool that was found
    PoolVersion acted_on_;
    // --- peers
    std::map<NodeId, std::string> addresses_;
    std::map<NodeId, Incarnation> heard_;  // newest incarnation of each
    std::map<NodeId, Greeted> greeted_;
    std::map<NodeId, BootTime> leases_until_;  // as the leader said, on this node's clock
    std::uint64_t refused_ = 0;
    // --- what is due
    BootTime next_renewal_{};
    bool probing_ = false;
    BootTime next_ask_{};
    std::vector<Asked> asked_;
    std::uint64_t last_request_ = 0;
    // --- of the step that is being made
    std::vector<Outgoing> sends_;
    std::vector<Outgoing> gated_;
    std::deque<Loop> loop_;
    std::vector<Effects::Answer> answers_;
    bool left_now_ = false;
    bool look_ = false;
};

}  // namespace posthorse::replication
