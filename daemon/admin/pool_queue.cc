#include "daemon/admin/pool_queue.h"

#include <set>

#include "daemon/admin/member_name.h"

namespace posthorse::admin {
namespace {

using replication::PartitionState;
using replication::PoolState;

std::string bytes_of(const NodeId& node) {
    return {node.bytes.begin(), node.bytes.end()};
}

Error no_owner(QueueId id, const PartitionState& partition, const PoolState& state) {
    std::string holders;
    for (const auto& node : partition.in_sync) {
        (holders += holders.empty() ? "" : ", ") += title_of(state, node);
    }
    return {Errc::unavailable, id.to_string() + " is in partition " +
                                   std::to_string(partition.id.value) +
                                   ", which has no live owner: it waits for " + holders};
}

}  // namespace

PoolQueue::PoolQueue(PoolReader pool, QueuePart& own, Peer peer)
    : pool_(std::move(pool)), own_(own), peer_(std::move(peer)) {}

std::optional<PoolQueue::Part> PoolQueue::part(const NodeId& owner, Duration patience) const {
    const auto& state = pool();
    const bool ours = owner == pool_.self;
    const auto* member = state.member(owner);
    if (!ours && member == nullptr) return std::nullopt;
    v1::NodeCaller caller;
    caller.set_pool_id(state.pool_id);
    caller.set_pool_incarnation(state.incarnation);
    caller.set_from(bytes_of(pool_.self));
    caller.set_to(bytes_of(owner));
    const std::shared_ptr<void> nobody;  // owns this node's part as far as the pointer goes
    auto part = ours ? std::shared_ptr<QueuePart>(nobody, &own_) : peer_(*member, patience);
    return Part{owner, title_of(state, owner), std::move(part), std::move(caller)};
}

std::vector<PoolQueue::Part> PoolQueue::parts(Duration patience) const {
    std::set<NodeId> owners;
    for (const auto& partition : pool().partitions) {
        if (partition.owner) owners.insert(*partition.owner);
    }
    std::vector<Part> parts;
    for (const auto& owner : owners) {
        if (auto found = part(owner, patience)) parts.push_back(std::move(*found));
    }
    return parts;
}

Result<PoolQueue::Part> PoolQueue::part_of(QueueId id, Duration patience) const {
    const auto& state = pool();
    if (state.partitions.empty()) {
        return Error{Errc::unavailable, "this node has not found its pool yet"};
    }
    const auto* partition = state.find(id.partition());
    if (partition == nullptr) {
        return Error{Errc::not_found, "no message " + id.to_string() + " in the queue"};
    }
    auto found = partition->owner ? part(*partition->owner, patience) : std::nullopt;
    if (!found) return no_owner(id, *partition, state);
    return std::move(*found);
}

}  // namespace posthorse::admin
