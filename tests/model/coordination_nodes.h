// The nodes and messages of the model of the agreement, as small numbers.
//
// Place     Under coordination_model.h. Runs CoordinationFsm, and nothing that imitates it.
// Contract  A node's state (the machine, what its disk holds, what waits for the disk) and a
// message
//           each have one number. What a call does to a state is asked of the machine once, and
//           remembered. Names of nodes are interchangeable to the machine, so every state and
//           message has a fingerprint under each of the six renamings.
// Bounds    7 terms, 15 versions, 65,000 messages.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "replication/core/coordination_fsm.h"
#include "tests/model/coordination_scope.h"
#include "tests/model/fingerprint_set.h"

namespace posthorse::model {

constexpr std::size_t node_count = 3;
using Self = std::uint8_t;         // 0 A, 1 B, 2 C
using NodeNumber = std::uint32_t;  // of a state of a node
using MessageNumber = std::uint16_t;

struct Spot {  // replication::Place, small; 0.0 comes before everything
    std::uint8_t term = 0;
    std::uint8_t version = 0;
    auto operator<=>(const Spot&) const = default;
};

struct Message {
    enum class Kind : std::uint8_t {
        join,
        publish,
        accepted,
        commit,
        // Not sent: what the checks remember of the past.
        leads,      // `from` was elected in the term, and published up to the version
        descends,   // the value at `spot` was made from the one at `other`
        top,        // the newest committed value
        restarted,  // so often
    };
    Kind kind{};
    Self from = 0;
    Self to = 0;
    Spot spot{};
    Spot other{};  // join: what the sender has
    std::uint8_t value = 0;
    Mask configuration = 0;
    Mask committed = 0;
    bool operator==(const Message&) const = default;
};
inline bool is_sent(const Message& message) {
    return message.kind <= Message::Kind::commit;
}
inline bool for_one(const Message& message) {  // a vote, for one receiver; others are for all
    return message.kind == Message::Kind::join || message.kind == Message::Kind::accepted;
}

// One call of the machine, in 16 bits.
struct Action {
    std::uint16_t code = 0;

    static constexpr std::uint16_t restart_code = 0, written_code = 1, propose_code = 2,
                                   start_join_code = 32, deliver_code = 64;
    static constexpr Action restart() { return {restart_code}; }
    static constexpr Action written() { return {written_code}; }
    static Action propose(std::size_t configuration_index, std::size_t value_index);
    static Action start_join(std::uint8_t term, Self candidate);
    static Action deliver(MessageNumber message);
};

struct Outcome {
    NodeNumber node = 0;
    bool elected = false;  // by this very call
    std::uint8_t sent_count = 0;
    bool is_last = true;  // of the outcomes of this action
    std::array<MessageNumber, 12> sent{};
};

class Nodes {
public:
    // What a reader of the state needs most.
    struct Info {
        Self self = 0;
        Spot accepted{};
        Spot on_disk{};         // accepted, too
        std::uint8_t term = 0;  // on disk
        std::uint8_t memory_term = 0;
        bool entered = false;
        bool elected = false;
        bool accepted_is_committed = false;
        std::uint8_t published = 0;
    };
    using Permutation = std::array<Self, node_count>;
    static constexpr std::size_t permutation_count = 6;
    static const std::array<Permutation, permutation_count>& permutations();
    static Mask renamed(Mask mask, const Permutation& names);

    explicit Nodes(const Scope& scope);

    NodeNumber initial(Self self);
    // One or more outcomes; one that changes nothing when the machine refuses.
    const Outcome* outcomes(NodeNumber node, Action action);
    MessageNumber number_of(const Message& message);

    const Info& info(NodeNumber node) const { return states_[node].info; }
    const Message& message(MessageNumber number) const { return messages_[number].message; }
    const Fingerprint& node_print(NodeNumber node, std::size_t permutation) const {
        return states_[node].prints[permutation];
    }
    const Fingerprint& message_print(MessageNumber number, std::size_t permutation) const {
        return messages_[number].prints[permutation];
    }
    std::size_t state_count() const { return states_.size(); }
    std::size_t message_count() const { return messages_.size(); }
    std::size_t call_count() const { return outcomes_.size(); }
    std::string describe(NodeNumber node) const;
    std::string describe(const Message& message) const;

    // Every call that was made so far: visit(before, outcome).
    template <class Visit>
    void for_each_call(Visit visit) const {
        for (NodeNumber node = 0; node < known_.size(); ++node) {
            for (const std::uint32_t first : known_[node]) {
                for (std::size_t at = first; first != unknown; ++at) {
                    visit(node, outcomes_[at]);
                    if (outcomes_[at].is_last) break;
                }
            }
        }
    }

private:
    using Key = std::array<std::uint8_t, 48>;
    using Sent = std::vector<MessageNumber>;
    static constexpr std::uint32_t unknown = 0xFFFFFFFF;
    struct State {
        replication::CoordinationFsm machine;
        replication::Durable disk;
        Sent waiting;  // for the disk
        Info info;
        std::array<Fingerprint, permutation_count> prints;
    };
    struct Interned {
        Message message;
        std::array<Fingerprint, permutation_count> prints;
    };

    NodeNumber intern(Self self,
                      replication::CoordinationFsm machine,
                      replication::Durable disk,
                      Sent waiting);
    Key key_of(const State& state, const Permutation& names) const;
    void run(NodeNumber node, Action action);
    // The call itself: what it wants sent.
    Sent call(Self self, Action action, replication::CoordinationFsm& machine);
    Sent start_join(Self self, Action action, replication::CoordinationFsm& machine);
    Sent propose(Self self, Action action, replication::CoordinationFsm& machine);
    Sent deliver(Self self, const Message& message, replication::CoordinationFsm& machine);
    void finish(const State& before, replication::CoordinationFsm machine, Sent sent);
    void add_outcome(const State& before, NodeNumber after, const Sent& sent);

    std::uint8_t value_number(Self self, const Spot& spot, std::size_t index) const;
    std::uint8_t renamed_value(std::uint8_t value, const Permutation& names) const;
    replication::Value value(std::uint8_t number) const;
    std::uint8_t number_of(const replication::Value& value) const;

    const Scope& scope_;
    std::vector<State> states_;
    std::vector<Interned> messages_;
    std::unordered_map<std::string, NodeNumber> state_numbers_;
    std::unordered_map<std::string, MessageNumber> message_numbers_;
    std::vector<std::vector<std::uint32_t>> known_;  // of a node, by action: the first outcome
    std::vector<Outcome> outcomes_;
};

}  // namespace posthorse::model
