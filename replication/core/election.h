// Who leads the agreement, and what the leader publishes: elections, heartbeats and publications
// around coordination_fsm.h.
//
// Place     Pure, under control_core.h. Time and randomness are arguments.
// Contract  A voter that has heard no leader for `patience` and a random while asks the other
// voters
//           whether they would join it (pre-vote), and only with a majority of both configurations
//           spends a term. So does a node without a vote that accepted more than a voter which
//           still counts on it: that one cannot win. A leader beats every `heartbeat`, repeats what
//           somebody lacks, first publishes its accepted value in its own term, and abdicates,
//           silently, when no majority confirmed it or a publication was not committed for
//           `abdicate_after`.
//           Messages in `gated` depend on durable(): they leave after it is written.
// Owner     ControlCore.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "proto/types/function.h"
#include "replication/core/control_message.h"
#include "replication/core/coordination_fsm.h"

namespace posthorse::replication {

struct ElectionOutput {
    struct Send {
        NodeId to;
        Message message;
    };
    std::vector<Send> now;
    std::vector<Send> gated;
    bool accepted = false;   // a newer value was accepted
    bool committed = false;  // committed() is a newer value
    bool led = false;        // committed its first value in its own term: it leads from now on
    bool lost = false;       // does not lead any more
};

class Election {
public:
    struct Settings {
        Duration heartbeat = std::chrono::milliseconds{200};
        Duration patience = std::chrono::milliseconds{700};
        Duration back_off = std::chrono::milliseconds{400};  // grows with every failure
        Duration back_off_max = std::chrono::seconds{3};
        Duration abdicate_after = std::chrono::seconds{5};  // half a TTL
    };
    using Output = ElectionOutput;

    Election(NodeId self,
             Durable durable,
             Settings settings,
             UniqueFunction<std::uint64_t()> random);

    void begin(BootTime now);
    void tick(BootTime now, Output& out);

    void take(const NodeId& from, const StartJoin& message, BootTime now, Output& out);
    void take(const NodeId& from, const Join& message, BootTime now, Output& out);
    void take(const NodeId& from, const Published& message, BootTime now, Output& out);
    void take(const NodeId& from, const Accepted& message, BootTime now, Output& out);
    void take(const NodeId& from, const Commit& message, BootTime now, Output& out);
    void take(const NodeId& from, const PreVote& message, BootTime now, Output& out);
    void take(const NodeId& from, const PreVoteReply& message, BootTime now, Output& out);
    void take(const NodeId& from, const Heartbeat& message, BootTime now, Output& out);
    void take(const NodeId& from, const HeartbeatReply& message, BootTime now, Output& out);
    void take(const NodeId& from, const TakeLead& message, BootTime now, Output& out);

    // --- the leader
    // True between `led` and `lost`.
    bool leads() const noexcept { return role_ == Role::leader && led_; }
    bool may_publish(const Configuration& configuration) const;
    // Requires may_publish(). The value's version is the next one.
    void publish(PoolState value, Configuration configuration, BootTime now, Output& out);
    PoolVersion next_version() const { return {fsm_.accepted().version.value + 1}; }
    // Stops leading, without a word.
    void abdicate(BootTime now, Output& out);
    // A new term under the same leader, when it could not go on in this one.
    void renew_term(BootTime now, Output& out);
    // The newest round that began, and the newest that a majority confirmed.
    std::uint64_t newest_round() const noexcept { return round_; }
    std::uint64_t confirmed_round() const;
    // Members that have not answered for a while.
    std::vector<NodeId> away(BootTime now) const;
    // This node, and who answered that round or a later one.
    std::vector<NodeId> answering(std::uint64_t round) const;
    std::optional<BootTime> heard(const NodeId& node) const;
    // A majority of the voters have the accepted value and its configuration as committed, on disk.
    bool everywhere_committed() const;
    std::optional<NodeId> successor() const;
    Place known_of(const NodeId& node) const;

    // --- everybody
    std::optional<NodeId> leader(BootTime now) const;
    const Durable& durable() const noexcept { return fsm_.durable(); }
    const CoordinationFsm& agreement() const noexcept { return fsm_; }
    // The newest value known to be committed; null before.
    const Value& committed() const noexcept { return committed_; }
    // The accepted value is known to be committed: it was agreed on elsewhere. Before begin().
    void agreed_elsewhere();
    // A term that others know: it is adopted without a vote.
    void see_term(Term term);
    // What is on the disk now.
    void written(const Durable& durable) { written_ = durable; }

private:
    enum class Role : std::uint8_t { follower, asking, candidate, leader };
    struct Peer {
        std::uint64_t round = 0;  // newest that it answered
        BootTime heard;
        Place accepted;
        bool configuration_committed = false;
    };
    struct Round {
        std::uint64_t number;
        BootTime begun;
    };

    bool is_voter() const;
    std::vector<NodeId> voters() const;
    std::vector<NodeId> audience() const;
    bool quiet(BootTime now) const;
    bool knows_less(const Place& place) const { return place < fsm_.accepted(); }
    void wait_again(BootTime now);
    void follow(BootTime now);
    void ask(BootTime now, Output& out);
    void stand(Term term, BootTime now, Output& out);
    void win(BootTime now, Output& out);
    void tick_leader(BootTime now, Output& out);
    void beat(BootTime now, Output& out);
    void mend(const NodeId& node, BootTime now, Output& out);
    void send_published(Published published, BootTime now, Output& out);
    void note_confirmation();
    bool term_is_written() const { return written_.current_term == fsm_.term(); }
    void commit(const Place& place, Output& out);
    void heard_leader(const NodeId& from, BootTime now);
    void broadcast(const Message& message, const std::vector<NodeId>& to, Output& out) const;

    const NodeId self_;
    const Settings settings_;
    UniqueFunction<std::uint64_t()> random_;
    CoordinationFsm fsm_;
    Durable written_;
    Value committed_;
    Place committed_place_;

    Role role_ = Role::follower;
    std::optional<NodeId> leader_;
    BootTime leader_heard_{};
    BootTime act_at_{};  // when to ask, or to give up asking or standing
    std::uint32_t failures_ = 0;
    // --- asking
    std::uint64_t pre_vote_round_ = 0;
    std::vector<NodeId> pre_votes_;
    Term highest_seen_;
    bool needed_ = false;  // it has no vote, and others cannot win without what it accepted
    // --- joined
    std::optional<NodeId> joined_;  // whom, in this term
    std::optional<Join> join_;
    // --- leader
    bool led_ = false;
    BootTime next_beat_{};
    std::uint64_t round_ = 0;    // grows from leadership to leadership: late answers are told apart
    std::vector<Round> rounds_;  // begun and not confirmed yet, and the last confirmed one
    BootTime confirmed_at_{};
    std::map<NodeId, Peer> peers_;
    std::optional<Published> in_flight_;
    BootTime in_flight_since_{};
};

}  // namespace posthorse::replication
