#include "replication/kept_streams.h"

#include <utility>

namespace posthorse::replication {

std::vector<NodeId> KeptStreams::follow(const PoolState& pool) {
    std::vector<NodeId> ended;
    const auto self = control_.self();
    const auto incarnation = control_.incarnation();
    const bool anew =
        pool.is_live(self, incarnation) && std::exchange(spoken_as_, incarnation) != incarnation;
    std::map<NodeId, std::string> wanted;
    for (const auto& member : pool.members) {
        if (member.id != self && !member.facts.address.empty())
            wanted[member.id] = member.facts.address;
    }
    std::erase_if(addresses_, [&](const auto& kept) {
        if (!anew && wanted.contains(kept.first)) return false;
        leave(kept.first, ended);
        return true;
    });
    for (const auto& [node, address] : wanted) {
        auto& kept = addresses_[node];
        if (std::exchange(kept, address) != address) streams_.keep(node, address);
    }
    return ended;
}

void KeptStreams::leave(NodeId node, std::vector<NodeId>& ended) {
    streams_.leave(node);
    if (up_.erase(node) > 0) ended.push_back(node);
}

}  // namespace posthorse::replication
