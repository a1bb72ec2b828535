// Which short sets their owner widens now, and with whom: the pace and the order of healing.
//
// Place     Asked by ownership.h some times a second, which carries the steps out. Who is chosen
//           says core/placement.h.
// Contract  Pure. Sets are widened in the order of their numbers, which is about that of the age of
//           their mail, a few at one time: octets are limited elsewhere, by the pace of copies.
//           Open ones wait for nobody, for new mail may be refused meanwhile. Set by set an
//           invitation is repeated after a while, and a node that was silent is not invited for a
//           while. A solo partition is never widened: it is closed, seldom, when nothing else
//           heals. A node that drains leaves the copies to whoever takes its partitions over.
// Owner     Ownership, on home.
// Bounds    One entry a set that was widened of late, one a node that was silent of late.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "proto/types/time.h"
#include "replication/core/pool_state.h"

namespace posthorse::replication {

class Healing {
public:
    // Of this node's own.
    struct ShortSet {
        const PartitionState* state;
        bool has_mail;  // or may have: what cannot be read, or is arriving
    };
    struct Situation {
        std::size_t inviting = 0;  // sets that are being widened
        bool urgent = false;       // somebody waits for the copies: as many sets as there are
        bool leaving = false;      // this node is about to go
        bool draining = false;
        std::function<bool(NodeId)> reached;  // to whom it can speak
    };
    struct Steps {
        std::vector<std::pair<PartitionId, NodeId>> invite;
        std::vector<PartitionId> close;
    };

    Steps due(const PoolState& pool,
              std::span<const ShortSet> sets,
              const Situation& here,
              BootTime now);
    // It was silent, or could not be brought up: others get a chance first.
    void avoid(NodeId node, BootTime now);

private:
    bool may_close(const Situation& here, bool inviting, BootTime now);

    std::map<PartitionId, BootTime> next_invitation_;
    std::map<NodeId, BootTime> avoided_until_;
    BootTime next_close_{};
};

}  // namespace posthorse::replication
