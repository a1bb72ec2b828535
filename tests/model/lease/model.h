// Leases of a pool over a network that loses, repeats, delays and reorders, with clocks that drift:
// its states, its steps, and what must hold in each.
//
// Contract  A state is the processes, the time, what each clock has lost, the messages that were
//           sent and still could have an effect, and the newest committed value. Every message may
//           be delivered next, again, or never; a renewal, which is sent to each that may lead,
//           once to each. Time goes on by a tick at any moment, and a clock may lose a unit, the
//           drift margin of a TTL, in one of them. Any voter that may stand may do so at any time.
//           A fault is reported with the step that makes it:
//             two processes entitled to the partition;
//             one entitled whose incarnation is not the live owner in the newest committed value;
//             one entitled in an epoch that ended two TTLs ago.
//           Entitled: it owns the partition in acting_state(), and may_act() without a margin.
// Sound     Why fewer states than all are enough:
//           Ticks. All that is compared are times of events and of events a TTL earlier; ticks
//             divide a TTL, and the drift margin is there as a unit beside them.
//           Spent messages. Dropped when every receiver refuses them from now on, or has them: of
//             a lower term, of a place or a round that is over, a grant that extends nothing. A
//             renewal or a grant that is a TTL old makes no lease; late, it could only make the
//             leader wait longer.
//           At once. A grant, and an answer to a heartbeat, arrive when they are sent or never. A
//             lease only ever makes more possible, and nothing else looks at it. An answer only
//             lets the leader grant, and a late grant is like an early one: it names the time when
//             the renewal was sent, and if the incarnation was ended meanwhile there is none.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/model/fingerprint_set.h"
#include "tests/model/lease/machines.h"
#include "tests/model/lease/scope.h"

namespace posthorse::model::lease {

class Model {
public:
    struct State {
        static constexpr std::size_t message_count_max = 64;
        std::array<ProcessNumber, slots_max> processes{};
        std::uint8_t time = 0;                       // units
        std::array<std::uint8_t, slots_max> lost{};  // units, of each clock
        std::uint8_t put_back = 0;                   // units, the owner's wall clock
        std::uint8_t committed = 0;                  // number of the newest
        std::uint8_t epoch_begun = 0;                // when its epoch was committed
        std::uint8_t message_count = 0;
        std::array<MessageNumber, message_count_max> messages{};

        bool contains(MessageNumber message) const;
        void add(MessageNumber message);
        void remove(std::size_t index) { messages[index] = messages[--message_count]; }
    };
    struct Reached {  // so that a pass is no pass over nothing
        std::uint64_t grants = 0;
        std::uint64_t takeovers = 0;   // entitled states of who did not own the partition first
        std::uint64_t exceptions = 0;  // entitled without a lease
        std::uint8_t newest = 0;       // version that was committed
    };

    explicit Model(const Scope& scope);

    State initial() const { return initial_; }
    template <class Visit>
    void successors(const State& state, Visit visit) {
        collect(state);
        for (const auto& step : steps_) visit(step.number, step.next, step.fault);
    }
    Fingerprint fingerprint(const State& state) const;
    void pack(const State& state, std::vector<std::uint16_t>& out) const;
    State unpack(const std::uint16_t*& at) const;
    std::string tell(const State& state, std::uint32_t step);

    const Reached& reached() const { return reached_; }
    const Machines& machines() const { return machines_; }

private:
    using Fault = std::optional<std::string>;
    struct Step {
        std::uint32_t number;
        State next;
        Fault fault;
    };

    static constexpr std::uint32_t time_step = 0xF0'0000;  // and the slots that lose a unit
    static constexpr std::uint32_t wall_step = 0xE0'0000;

    Slot slots() const { return static_cast<Slot>(scope_.processes.size()); }
    Time time_of(const State& state, Slot slot) const;
    void collect(const State& state);
    void collect(const State& state, Slot slot, Action action);
    void collect_time(const State& state);
    void add_step(std::uint32_t number, State next);
    void apply(State& state, Slot slot, Action action);
    void commit(State& state, std::uint8_t published);
    void deliver_at_once(State& state);
    bool deliver_one(State& state);
    void forget(State& state) const;
    bool is_receiver(Slot slot, const Message& message) const;
    bool is_spent(const State& state, Slot slot, const Message& message) const;
    bool entitled(const State& state, Slot slot) const;
    Fault check(const State& state);
    Fault check(const State& state, Slot slot) const;
    std::string describe(const State& state, Slot slot) const;
    std::string describe(const Message& message) const;
    std::string describe(const replication::Published& published) const;

    const Scope& scope_;
    Machines machines_;
    State initial_;
    std::vector<Step> steps_;
    Reached reached_;
};

}  // namespace posthorse::model::lease
