// The streams that this node keeps: one to every member, for holders change often, and nodes are
// few.
//
// Place     Between ownership.h and peer_streams.h.
// Contract  With every value of the pool follow() begins and ends streams, and names the nodes
// whose
//           streams it ended while they were up: nobody else tells. What was begun as an earlier
//           incarnation of this node nobody believes any more: it begins anew.
// Owner     Ownership, on home.
// Bounds    One entry a member.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "replication/control_plane.h"
#include "replication/peer_streams.h"

namespace posthorse::replication {

class KeptStreams {
public:
    KeptStreams(const ControlPlane& control, PeerStreams& streams)
        : control_(control), streams_(streams) {}

    std::vector<NodeId> follow(const PoolState& pool);

    void up(NodeId node) { up_.insert(node); }
    void down(NodeId node) { up_.erase(node); }
    bool is_up(NodeId node) const { return up_.contains(node); }

private:
    void leave(NodeId node, std::vector<NodeId>& ended);

    const ControlPlane& control_;
    PeerStreams& streams_;
    Incarnation spoken_as_;                    // as which they were begun
    std::map<NodeId, std::string> addresses_;  // of the nodes to which there is one
    std::set<NodeId> up_;
};

}  // namespace posthorse::replication
