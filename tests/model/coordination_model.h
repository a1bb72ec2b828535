// The agreement of three nodes over a network that loses, repeats, delays and reorders: its states,
// its steps, and what must hold in each.
//
// Contract  A state is the three nodes, the messages that were ever sent and still could have an
//           effect, and what the checks remember of the past. Every message in it may be delivered
//           next, again, or never. Any node may at any time be asked to join any node in any term
//           (StartJoin is not kept: it is always possible), restart, and, when it may, publish
//           whatever propose() lets pass.
//           A fault is reported with the step that makes it:
//             two nodes elected in one term, whether or not at the same time;
//             two publications at one (term, version);
//             a value committed that neither descends from the newest committed one nor is an
//             ancestor of it. So the committed values lie on one branch at every moment.
//           Committed: accepted_by() said so. Descends: each publication from what its leader had
//           accepted when it proposed; publishing the same value again descends, too.
// Sound     Why fewer states than all are enough:
//           Symmetry. The machine compares names of nodes and does nothing else with them; of
//             states that differ by a renaming that keeps the scope's configurations one is
//             visited.
//           Term. A message of a term that its receiver's disk has passed is dropped: terms never
//             fall, and what is of a lower term is refused. verify() holds both against the
//             machine, for every call that was made and every message that was seen.
//           Prune. Likewise a Join for who has restarted in its term, a publication not newer than
//             what is accepted, an acceptance of what is no longer the last publication, a Commit
//             of what is committed or replaced. verify() does the same with them.
//           Eager. A Join or an acceptance changes nothing but its receiver's set of votes, which
//             only ever makes more possible: an election, a new configuration, a Commit. Whatever
//             can be reached by counting it later or never, with its violation, can be reached by
//             counting it at once: the extra votes and the extra Commits may be left unused.
//             Scopes without this reduction, and mutants, hold it against the machine.
//           Values. With one value a proposal no two are the same, which hides no fault: a second
//             publication at a place is a fault whatever its value, since the proposer is free.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/model/coordination_nodes.h"
#include "tests/model/coordination_scope.h"

namespace posthorse::model {

class CoordinationModel {
public:
    struct State {
        static constexpr std::size_t message_count_max = 96;
        std::array<NodeNumber, node_count> nodes{};
        std::uint8_t message_count = 0;
        std::array<MessageNumber, message_count_max> messages{};

        void add(MessageNumber message);
        void remove(std::size_t index) { messages[index] = messages[--message_count]; }
        bool contains(MessageNumber message) const;
    };
    struct Reached {  // so that a pass is no pass over nothing
        std::set<std::uint8_t> led_terms;
        std::set<Spot> committed;
        std::uint64_t restarts = 0;
    };

    explicit CoordinationModel(const Scope& scope);

    State initial();
    template <class Visit>
    void successors(const State& state, Visit visit) {
        collect(state);
        for (const auto& step : steps_) visit(step.number, step.next, step.fault);
    }
    Fingerprint fingerprint(const State& state) const;
    void pack(const State& state, std::vector<std::uint16_t>& out) const;
    State unpack(const std::uint16_t*& at) const;
    std::string tell(const State& state, std::uint32_t step);

    // What the reductions rest on, for all that was seen. Empty: it holds.
    std::string verify();
    const Reached& reached() const { return reached_; }
    const Nodes& nodes() const { return nodes_; }

private:
    using Fault = std::optional<std::string>;
    struct Step {
        std::uint32_t number;
        State next;
        Fault fault;
    };

    void collect(const State& state);
    void collect(const State& state, Self self, Action action);
    Fault apply(State& state, Self self, Outcome outcome);
    Fault send(State& state, MessageNumber number);
    Fault elect(State& state, Self self);
    Fault publish(State& state, const Message& publication);
    Fault commit(State& state, const Spot& spot);
    Fault count_votes(State& state);
    bool count_a_vote(State& state, Fault& fault);
    void forget(State& state);
    void forget_ancestry(State& state);

    bool is_dead(NodeNumber node, const Message& message) const;
    bool is_dead(const State& state, const Message& message) const;
    bool is_noop(NodeNumber node, MessageNumber message);
    std::optional<std::size_t> find(const State& state,
                                    Message::Kind kind,
                                    std::uint8_t term) const;
    // The newer of both descends from the older.
    bool on_one_branch(const State& state, Spot one, Spot other) const;

    const Scope& scope_;
    Nodes nodes_;
    std::vector<std::size_t> symmetries_;  // renamings that keep the scope
    std::vector<Step> steps_;
    std::vector<std::string>* story_ = nullptr;  // of the step under way, when someone reads it
    Reached reached_;
};

}  // namespace posthorse::model
