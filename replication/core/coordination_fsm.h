// The agreement on one small versioned value: one voter's part of it.
//
// Place     Pure core under election.h. The value is opaque here.
// Contract  The algorithm of Elasticsearch's cluster coordination (its public TLA+ model is
//           ZenWithTerms): the whole value is published and accepted, there is no log. A call that
//           changes durable() returns the message that depends on the change: it must not leave,
//           not to this node either, before durable() is on the disk; and until it is, nothing
//           that a later call returns may leave either: a leader whose term is not on its disk
//           could be elected in that term again, and publish twice. Messages may be lost,
//           repeated, late and out of order. What does not fit the state is refused: nullopt or
//           false, and nothing has changed.
//           Held at every moment, whatever the messages: one leader a term; one value a
//           (term, version); every committed value descends from every value committed before it.
//           tests/model checks this exhaustively on this code.
// Owner     Election. A restart makes a new one from what the disk holds.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "proto/types/ids.h"
#include "replication/core/place.h"

namespace posthorse::replication {

struct PoolState;
using Value = std::shared_ptr<const PoolState>;  // compared by address, never looked into

// Puts a node into a sorted list that has each once.
void add_node(std::vector<NodeId>& nodes, const NodeId& node);

// Who votes. Sorted, without repetitions.
struct Configuration {
    std::vector<NodeId> voters;

    bool contains(const NodeId& node) const;
    bool is_majority(const std::vector<NodeId>& votes) const;  // never true without voters
    // Nothing can be decided without `node`.
    bool needs(const NodeId& node) const;
    bool operator==(const Configuration&) const = default;
};

struct Published {  // a value and where it stands
    Term term;
    PoolVersion version;
    Value value;
    Configuration configuration;
    Configuration committed;  // the configuration that was committed before it
    bool operator==(const Published&) const = default;
};

// What a voter must remember.
struct Durable {
    Term current_term;
    Published accepted;  // version 0: none yet
    bool operator==(const Durable&) const = default;
};

struct Join {  // "I follow you in this term; this is the newest that I have"
    Term term;
    Term accepted_term;
    PoolVersion accepted_version;
    bool operator==(const Join&) const = default;
};

class CoordinationFsm {
public:
    explicit CoordinationFsm(Durable durable);

    // StartJoin: adopts a higher term, and joins whoever asked.
    std::optional<Join> start_join(Term term);
    // A voter joins this candidate. True: it counts.
    bool join(NodeId from, const Join& join);
    // The elected leader's next value. Requires that it accepted its last one.
    std::optional<Published> propose(Value value, Configuration configuration);
    std::optional<Place> accept(const Published& published);
    // A node accepted what this leader published. A place: it is committed now.
    std::optional<Place> accepted_by(NodeId from, const Place& place);
    // What was accepted is committed. True: it was exactly this node's accepted value.
    bool commit(const Place& place);

    const Durable& durable() const noexcept { return durable_; }
    Term term() const noexcept { return durable_.current_term; }
    Place accepted() const { return {durable_.accepted.term, durable_.accepted.version}; }
    bool elected() const noexcept { return unsaved_.elected; }
    // A majority of both the committed and the accepted configuration is among `votes`.
    bool is_quorum(const std::vector<NodeId>& votes) const;
    // Could propose() publish with this configuration now?
    bool may_propose(const Configuration& configuration) const;
    const std::vector<NodeId>& joined() const noexcept { return unsaved_.joins; }

    // What is gone with the process.
    struct Unsaved {
        bool entered_term = false;  // since the start; Joins of a term from before it are void
        bool elected = false;
        std::vector<NodeId> joins;  // of this term, sorted
        PoolVersion published;      // last version that this leader published
        Configuration published_configuration;
        std::vector<NodeId> accepted_by;  // who accepted it, sorted
        bool operator==(const Unsaved&) const = default;
    };
    const Unsaved& unsaved() const noexcept { return unsaved_; }

private:
    Durable durable_;
    Unsaved unsaved_;
};

}  // namespace posthorse::replication
