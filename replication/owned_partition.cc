#include "replication/owned_partition.h"

#include <algorithm>
#include <utility>

#include "proto/types/assert.h"

namespace posthorse::replication {
namespace {

std::vector<NodeId> without(std::vector<NodeId> nodes, NodeId self) {
    std::erase(nodes, self);
    return nodes;
}

Need need_of(const OwnedPartition::AnyChange& change) {
    if (std::holds_alternative<storage::Append>(change)) return Need::local;
    if (std::holds_alternative<storage::Intend>(change)) return Need::received;
    return Need::durable;
}

}  // namespace

OwnedPartition::OwnedPartition(PartitionState state,
                               NodeId self,
                               Sequence last,
                               OwnerFsm::Settings settings,
                               storage::QueueStore& store,
                               HolderLinks& links)
    : state_(std::move(state)),
      first_epoch_(state_.epoch),
      self_(self),
      fsm_(settings, without(state_.in_sync, self), last),
      store_(store),
      links_(links) {}

void OwnedPartition::submit(AnyChange change, BootTime now, Completion<> done) {
    const auto sequence = fsm_.begin(need_of(change), now);
    storage::Operation operation{{state_.id, state_.epoch, sequence}, std::move(change)};
    waiting_.emplace(sequence, std::move(done));
    for (const auto& holder : fsm_.holders()) links_.send(holder, operation);
    store_.apply(std::move(operation), [weak = weak_from_this(), sequence](Result<void> result) {
        if (const auto self = weak.lock()) self->stored(sequence, std::move(result));
    });
}

QueueId OwnedPartition::mint(WallTime now) {
    last_minted_ = std::max(last_minted_, now);
    return QueueId::make(last_minted_, state_.id, state_.epoch, minted_++);
}

void OwnedPartition::acknowledged(const Ack& ack) {
    // Sequences go on through this owner's changes of epoch; an earlier owner's do not count.
    if (ack.epoch < first_epoch_ || ack.epoch > state_.epoch) return;
    OwnerFsm::Effects effects;
    fsm_.acknowledged(ack.holder, ack.received, ack.durable, effects);
    carry_out(effects);
}

void OwnedPartition::narrowed(const PartitionState& state) {
    PH_ASSERT(state.id == state_.id && state.owner == state_.owner && state.epoch >= state_.epoch);
    state_ = state;
    OwnerFsm::Effects effects;
    fsm_.narrowed(without(state.in_sync, self_), effects);
    carry_out(effects);
}

void OwnedPartition::abandon() {
    for (auto& [sequence, done] : std::exchange(waiting_, {}))
        done(Error{Errc::unknown, "this node does not own the partition any more"});
}

std::vector<NodeId> OwnedPartition::tick(BootTime now) {
    OwnerFsm::Effects effects;
    fsm_.tick(now, effects);
    carry_out(effects);
    return std::move(effects.silent);
}

void OwnedPartition::stored(Sequence sequence, Result<void> result) {
    if (!result) {
        fsm_.local_failed(sequence);
        const bool elsewhere = !fsm_.holders().empty();
        finish(sequence, elsewhere ? Error{Errc::unknown, result.error().what} : result.error());
        return;
    }
    OwnerFsm::Effects effects;
    fsm_.local_done(sequence, effects);
    carry_out(effects);
}

void OwnedPartition::finish(Sequence sequence, Result<void> result) {
    auto node = waiting_.extract(sequence);
    if (!node.empty()) node.mapped()(std::move(result));
}

void OwnedPartition::carry_out(const OwnerFsm::Effects& effects) {
    for (const auto sequence : effects.done) finish(sequence, {});
    for (const auto sequence : effects.overdue) {
        finish(sequence, Error{Errc::unknown, "a holder did not acknowledge in time"});
    }
}

}  // namespace posthorse::replication
