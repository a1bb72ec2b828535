// One process of a pool: the production code, and as little as possible of what drives it.
//
// Contract  Production: CoordinationFsm, Lease, LeaseBook, acting_state(), may_act(), changed().
//           The rest mirrors election.h, leader_duties.h and control_core.h: whoever is elected
//           publishes what it has accepted in its own term; it keeps the book from when that is
//           committed; it grants after each event what a round confirmed; one value ends what
//           lapsed, starts what waits, lets go what leaves. What is accepted is on the disk before
//           it is answered, and stops this process before it is.
//           Left to the model: when anything happens. Nobody is patient, prompt or polite.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "replication/core/coordination_fsm.h"
#include "replication/core/lease.h"
#include "tests/model/lease/scope.h"
#include "tests/model/lease/values.h"

namespace posthorse::model::lease {

struct Message {
    enum class Kind : std::uint8_t {
        start_join,
        join,
        publish,
        accepted,
        commit,
        beat,
        beat_reply,
        renew,
        renewed,
        leave,
    };
    static constexpr std::uint8_t everybody = 255;

    Kind kind{};
    std::uint8_t from = 0;  // nodes
    std::uint8_t to = everybody;
    std::uint8_t term = 0;     // with `version` a place, of a Join the accepted one
    std::uint8_t version = 0;  // of a renewal: what it acted on
    std::uint8_t join_term = 0;
    std::uint8_t round = 0;
    std::uint8_t published = 0;  // number of a publication
    std::int16_t sent = 0;       // renewals: on the sender's clock
    std::uint8_t counter = 0;    // with `random` an incarnation
    std::uint8_t random = 0;
    auto operator<=>(const Message&) const = default;
};

// What time it is, for one process.
struct Clocks {
    BootTime boot;
    BootTime wall;  // of the machine's other clock: only faulty drivers look at it
};

struct Effects {
    std::vector<Message> sent;
    std::optional<std::uint8_t> committed;  // number of the publication
};

class Process {
public:
    Process(const Scope& scope, Values& values, Slot slot);

    // The first leader begins in term 1 with a committed value; everybody knows that, and has just
    // renewed.
    void found(const replication::Published& first, Clocks now, bool leads);

    // --- at any time
    void stand(std::uint8_t term, Clocks now, Effects& out);
    void renew(Clocks now, Effects& out);
    void beat(Clocks now, Effects& out);
    void publish(const Extra* extra, Clocks now, Effects& out);
    void leave(Clocks now, Effects& out);
    void restart();
    void deliver(const Message& message, Clocks now, Effects& out);

    bool owns() const { return owned_epoch().has_value(); }
    // As far as its state says, of which owned_epoch() was taken.
    bool may_act(Clocks now) const;
    // Of the partition, when this process is its owner by what it may act on.
    std::optional<Epoch> owned_epoch() const;

    std::uint8_t node() const { return node_; }
    std::uint8_t term() const { return static_cast<std::uint8_t>(fsm_.term().value); }
    const Incarnation& incarnation() const { return incarnation_; }
    const replication::CoordinationFsm& fsm() const { return fsm_; }
    const replication::LeaseBook& book() const { return book_; }
    const replication::Lease& lease() const { return lease_; }
    replication::Place committed_place() const { return committed_place_; }
    std::uint8_t round_of(std::uint8_t node) const { return peer_rounds_[node]; }
    bool in_flight() const { return in_flight_; }
    bool leaving() const { return leaving_; }

    bool operator==(const Process& other) const;
    std::size_t hash() const;

private:
    using NodeIncarnations = std::array<Incarnation, nodes_max>;

    void join_term(std::uint8_t term, std::uint8_t candidate, Clocks now, Effects& out);
    void take_join(std::uint8_t from, const replication::Join& join, Clocks now, Effects& out);
    void take_renewal(const Message& message, Clocks now);
    void publish(replication::PoolState value,
                 replication::Configuration configuration,
                 Clocks now,
                 Effects& out);
    void take_acceptance(std::uint8_t from,
                         const replication::Place& place,
                         Clocks now,
                         Effects& out);
    void commit(const replication::Place& place, Clocks now);
    void judge_incarnation();
    void begin_incarnation();
    void lose();
    void grant(Clocks now, Effects& out);
    std::uint64_t confirmed_round() const;
    bool leads() const { return fsm_.elected() && led_; }
    bool votes(std::uint8_t node) const;
    bool is_steady(const NodeId& node) const;
    void end_and_begin(replication::PoolState& next, Clocks now) const;
    std::optional<replication::Start> waiting_of(const replication::PoolState& state,
                                                 const NodeId& node) const;
    const replication::PoolState& newest() const { return *fsm_.durable().accepted.value; }
    // Which clock the node's end of its lease is on.
    BootTime lease_clock(Clocks now) const;

    const Scope* scope_;
    Values* values_;
    Slot slot_;
    std::uint8_t node_;
    NodeId self_;
    Incarnation incarnation_;
    replication::CoordinationFsm fsm_;
    replication::Value committed_;  // null: not known since the start
    replication::Place committed_place_;
    replication::Lease lease_;
    bool ran_ = false;  // this incarnation was live in a committed value
    bool leaving_ = false;
    bool estranged_ = false;
    std::uint8_t renewals_left_;
    std::uint8_t restarts_left_;
    // --- the leader
    replication::LeaseBook book_;
    bool led_ = false;
    bool in_flight_ = false;
    std::uint8_t round_ = 0;
    std::array<std::uint8_t, nodes_max> peer_rounds_{};
    NodeIncarnations waiting_{};  // counter 0: none
    NodeIncarnations leavers_{};
};

}  // namespace posthorse::model::lease
