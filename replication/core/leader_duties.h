// What the leader of a pool does: keeps the leases, ends and begins incarnations, carries out what
// nodes ask for, and keeps votes and partitions where placement.h wants them.
//
// Place     Pure, under control_core.h; publishes through election.h, one value at a time.
// Contract  All that is due goes into one value: queued changes, all lapsed leases, waiting
//           incarnations, placement. Whoever asked is answered after that value is committed, or
//           with `unknown` when this node stopped leading before it knew, or with `conflict` when
//           the change is not legal (any more).
//           What is due follows from the accepted value, from who asks, who is heard, and whose
//           lease ended. As long as none of that changes after nothing was due, nothing is looked
//           at again: a leader hears of every node many times a second.
//           Once a value is accepted that gives the pool to another control plane, nothing is due
//           and nothing is granted.
//           A lapsed node whose next incarnation waits and is heard starts in the change that ends
//           the earlier one. An incarnation never ends an earlier one by itself, but in a pool
//           where only one node votes, its own.
// Owner     ControlCore.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "replication/core/control_message.h"
#include "replication/core/election.h"
#include "replication/core/lease.h"

namespace posthorse::replication {

class LeaderDuties {
public:
    struct Send {
        NodeId to;
        std::string address;  // of one that is no member yet; else empty
        Message message;
    };
    using Sends = std::vector<Send>;
    // Who asks: from the header of a message.
    struct From {
        NodeId node;
        Incarnation incarnation;
        std::string address;
    };

    LeaderDuties(NodeId self, std::uint32_t copies) : self_(self), copies_(copies) {}

    void led(const Election& election, BootTime now);
    void lost(Sends& out);
    void committed(const Election& election, BootTime now, Sends& out);
    // Call after every event: publishes when something is due, and grants what was confirmed.
    void act(Election& election, BootTime now, ElectionOutput& published, Sends& out);

    // Each is taken by a leader only.
    void take(const From& from, const Renew& renew, const Election& election, BootTime now);
    void take(const From& from, const Propose& propose, Sends& out);
    void take(const From& from, const AskToJoin& ask, BootTime now);
    void take(const From& from, const LeaveRequest& request, const Election& election, Sends& out);

    const LeaseBook& leases() const noexcept { return book_; }
    // The vote could not be moved where it should be for long: a new term may help.
    bool blocked(BootTime now) const;

private:
    struct Asked {
        From from;
        std::uint64_t request = 0;
        Change change;
        bool published = false;
    };
    struct Waiting {
        Incarnation incarnation;
        Facts facts;
        BootTime heard;
    };

    struct Rest {  // nothing was due, of this value, while these were away
        Place accepted;
        std::vector<NodeId> away;
        bool operator==(const Rest&) const = default;
    };
    struct Wish {
        Configuration voters;
        std::uint64_t round = 0;  // the first whose answers count
    };

    void refuse_all(Sends& out);
    bool rests(const Election& election, BootTime now) const;
    void hear(const From& from, const Facts& facts, BootTime now);
    void answer(const Asked& asked, std::optional<Error> error, Sends& out) const;
    void answer_published(Sends& out);
    void carry_out_asked(PoolState& next, Sends& out);
    void end_and_begin(PoolState& next, const Election& election, BootTime now, Sends& out);
    std::vector<Ended> due_to_end(const PoolState& state,
                                  const Election& election,
                                  BootTime now) const;
    std::vector<NodeId> silent(const PoolState& state,
                               const Election& election,
                               BootTime now) const;
    std::optional<Start> waiting_of(const PoolState& state, const NodeId& node, BootTime now) const;
    void estrange(const PoolState& state, Sends& out);
    void let_go(PoolState& next, const Election& election);
    void place(PoolState& next, const Election& election, BootTime now) const;
    Configuration choose_voters(const PoolState& next, const Election& election, BootTime now);
    bool answer_still(const Configuration& before, const Election& election) const;

    const NodeId self_;
    const std::uint32_t copies_;
    LeaseBook book_;
    std::vector<Asked> asked_;
    std::map<NodeId, Waiting> waiting_;
    std::map<NodeId, Incarnation> leaving_;
    std::optional<Wish> wish_;  // for other voters, and not published yet
    std::optional<Rest> rest_;  // until somebody asks for something
    std::optional<BootTime> blocked_since_;
};

}  // namespace posthorse::replication
