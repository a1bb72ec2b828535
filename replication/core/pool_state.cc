#include "replication/core/pool_state.h"

#include <algorithm>

#include "proto/types/assert.h"

namespace posthorse::replication {
namespace {

Error conflict(std::string what) {
    return {Errc::conflict, std::move(what)};
}

std::string name_of(const PoolState& state, const NodeId& node) {
    const auto* member = state.member(node);
    return member == nullptr || member->facts.name.empty() ? node.to_string() : member->facts.name;
}

Member* find_member(PoolState& state, const NodeId& id) {
    return const_cast<Member*>(state.member(id));
}

std::size_t owned_count(const PoolState& state, const NodeId& node) {
    return static_cast<std::size_t>(
        std::count_if(state.partitions.begin(), state.partitions.end(),
                      [&](const auto& partition) { return partition.owner == node; }));
}

bool is_in(const std::vector<NodeId>& nodes, const NodeId& node) {
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

bool keeps_live(const PoolState& state,
                const PartitionState& partition,
                const std::vector<NodeId>& silent = {}) {
    return std::any_of(partition.in_sync.begin(), partition.in_sync.end(), [&](const NodeId& node) {
        return state.is_live(node) && !is_in(silent, node);
    });
}

// The owner stays when it lives, else the live node of the set that owns the fewest: a dead
// node's mail spreads over several siblings.
NodeId choose_owner(const PoolState& state, const PartitionState& partition) {
    if (partition.owner && state.is_live(*partition.owner)) return *partition.owner;
    std::optional<NodeId> best;
    for (const NodeId& node : partition.in_sync) {
        if (!state.is_live(node)) continue;
        if (!best || owned_count(state, node) < owned_count(state, *best)) best = node;
    }
    PH_ASSERT(best.has_value());
    return *best;
}

// After incarnations ended or began: nobody who does not live owns anything, and sets that keep
// somebody alive, and not silent, lose those who do not. Of an unvouched partition anybody may have
// the furthest copy, and nobody knows who: all are waited for. `touched` are the nodes whose
// incarnation changed.
void settle_partitions(PoolState& state,
                       const std::vector<NodeId>& touched,
                       const std::vector<NodeId>& silent = {}) {
    for (auto& partition : state.partitions) {
        const bool concerned = std::any_of(touched.begin(), touched.end(), [&](const NodeId& node) {
            return partition.holds(node);
        });
        if (!concerned) continue;
        const auto before = partition;
        if (!partition.unvouched && keeps_live(state, partition, silent))
            std::erase_if(partition.in_sync, [&](const NodeId& n) { return !state.is_live(n); });
        if (keeps_live(state, partition))
            partition.owner = choose_owner(state, partition);
        else
            partition.owner.reset();
        const bool owner_began_anew = partition.owner && is_in(touched, *partition.owner);
        if (partition != before || owner_began_anew) partition.epoch.value += 1;
    }
}

Result<void> begin(PoolState& state, const Start& start) {
    auto* member = find_member(state, start.node);
    if (member == nullptr) {
        if (state.members.size() >= members_max)
            return conflict("a pool has at most " + std::to_string(members_max) + " members");
        const auto at =
            std::lower_bound(state.members.begin(), state.members.end(), start.node,
                             [](const Member& known, const NodeId& id) { return known.id < id; });
        member = &*state.members.insert(at, Member{});
        member->id = start.node;
    }
    if (member->live) return conflict("an earlier incarnation of the node has not ended");
    if (start.incarnation.counter <= member->incarnation.counter)
        return conflict("the node had an incarnation with this number, or a later one");
    member->incarnation = start.incarnation;
    member->facts = start.facts;
    member->live = true;
    member->draining = false;
    return {};
}

Result<void> end(PoolState& state, const Ended& ended) {
    auto* member = find_member(state, ended.node);
    if (member == nullptr || !member->live || member->incarnation != ended.incarnation)
        return conflict("this incarnation of " + name_of(state, ended.node) +
                        " is not the live one");
    member->live = false;
    return {};
}

bool is_listed(const PoolState& state, const NodeId& node) {
    return std::any_of(state.partitions.begin(), state.partitions.end(),
                       [&](const auto& partition) { return partition.holds(node); });
}

void forget(PoolState& state, const NodeId& node) {
    std::erase_if(state.members, [&](const Member& member) { return member.id == node; });
}

Result<PoolState> change(PoolState state, const Start& start) {
    if (auto begun = begin(state, start); !begun) return begun.error();
    settle_partitions(state, {start.node});
    return state;
}

Result<PoolState> change(PoolState state, const Evict& evict) {
    std::vector<NodeId> touched;
    for (const auto& ended : evict.ended) {
        if (auto done = end(state, ended); !done) return done.error();
        touched.push_back(ended.node);
    }
    for (const auto& start : evict.starts) {
        if (auto begun = begin(state, start); !begun) return begun.error();
        touched.push_back(start.node);
    }
    settle_partitions(state, touched, evict.silent);
    return state;
}

// Whoever leaves and holds nothing that is not held elsewhere too is forgotten. It may have been
// evicted while it waited for this.
Result<PoolState> change(PoolState state, const Leave& leave) {
    const auto* member = state.member(leave.ended.node);
    const bool evicted =
        member != nullptr && !member->live && member->incarnation == leave.ended.incarnation;
    if (auto done = end(state, leave.ended); !done && !evicted) return done.error();
    settle_partitions(state, {leave.ended.node});
    if (!is_listed(state, leave.ended.node)) forget(state, leave.ended.node);
    return state;
}

// What only the removed node held goes to all others: rule 4 finds the furthest of their copies,
// and who never had one learns of it that way. The operator said so.
void give_to_all(const PoolState& state, PartitionState& partition) {
    partition.in_sync.clear();
    for (const auto& member : state.members) partition.in_sync.push_back(member.id);
    partition.owner.reset();
    if (keeps_live(state, partition)) partition.owner = choose_owner(state, partition);
    partition.lose_last_holder();
}

Result<PoolState> change(PoolState state, const RemoveMember& remove) {
    const auto* member = state.member(remove.node);
    if (member == nullptr) return conflict("no such member");
    if (member->live)
        return conflict(name_of(state, remove.node) +
                        " lives; stop it, or wait for its lease to "
                        "end");
    const auto alone = [&](const PartitionState& partition) {
        return partition.in_sync == std::vector<NodeId>{remove.node};
    };
    const auto lost = std::count_if(state.partitions.begin(), state.partitions.end(), alone);
    if (lost > 0 && remove.lost == Lost::refuse) {
        return conflict("only " + name_of(state, remove.node) + " holds " + std::to_string(lost) +
                        " partitions: bring it back, or let the others go on with the copies that "
                        "they had before, if any, with --force");
    }
    forget(state, remove.node);
    for (auto& partition : state.partitions) {
        if (!partition.holds(remove.node)) continue;
        if (alone(partition))
            give_to_all(state, partition);
        else
            std::erase(partition.in_sync, remove.node);
        partition.epoch.value += 1;
    }
    std::erase_if(state.partitions,
                  [](const auto& partition) { return partition.in_sync.empty(); });
    return state;
}

Result<PoolState> change(PoolState state, const SetDraining& set) {
    auto* member = find_member(state, set.node);
    if (member == nullptr) return conflict("no such member");
    member->draining = set.draining;
    return state;
}

template <class Edit>
Result<PoolState> edit(PoolState state, PartitionId id, Epoch epoch, Edit edit) {
    auto* partition = const_cast<PartitionState*>(state.find(id));
    if (partition == nullptr) return conflict("no partition " + std::to_string(id.value));
    if (partition->epoch != epoch)
        return conflict("partition " + std::to_string(id.value) + " is in epoch " +
                        std::to_string(partition->epoch.value) + ", not " +
                        std::to_string(epoch.value));
    if (!partition->owner)
        return conflict("partition " + std::to_string(id.value) + " waits for one of its holders");
    if (auto edited = edit(*partition); !edited) return edited.error();
    partition->epoch.value += 1;
    return state;
}

Result<PoolState> change(PoolState state, const DropHolder& drop) {
    return edit(std::move(state), drop.partition, drop.epoch,
                [&](PartitionState& partition) -> Result<void> {
                    if (partition.owner == drop.holder) return conflict("an owner drops others");
                    std::erase(partition.in_sync, drop.holder);
                    return {};
                });
}

Result<PoolState> change(PoolState state, const AddHolder& add) {
    if (!state.is_live(add.holder)) return conflict("the node does not live");
    return edit(std::move(state), add.partition, add.epoch,
                [&](PartitionState& partition) -> Result<void> {
                    if (partition.holds(add.holder)) return conflict("it is in the set already");
                    if (partition.solo && partition.phase == PartitionPhase::open)
                        return conflict("a solo partition is closed before it is widened");
                    partition.in_sync.push_back(add.holder);
                    return {};
                });
}

Result<PoolState> change(PoolState state, const HandOver& hand) {
    if (!state.is_live(hand.to)) return conflict("the node does not live");
    return edit(std::move(state), hand.partition, hand.epoch,
                [&](PartitionState& partition) -> Result<void> {
                    if (!partition.holds(hand.to)) return conflict("the node is not in sync");
                    if (partition.owner == hand.to) return conflict("it owns it already");
                    partition.owner = hand.to;
                    return {};
                });
}

Result<PoolState> change(PoolState state, const Vouch& vouch) {
    return edit(std::move(state), vouch.partition, vouch.epoch,
                [](PartitionState& partition) -> Result<void> {
                    partition.unvouched = false;
                    return {};
                });
}

Result<PoolState> change(PoolState state, const RetirePartition& retire) {
    auto edited = edit(std::move(state), retire.partition, retire.epoch,
                       [](PartitionState& partition) -> Result<void> {
                           if (partition.phase == PartitionPhase::closing) return {};
                           return conflict("the partition is open");
                       });
    if (!edited) return edited;
    std::erase_if(edited->partitions, [&](const PartitionState& partition) {
        return partition.id == retire.partition;
    });
    return edited;
}

Result<PoolState> change(PoolState state, const OpenPartition& open) {
    for (const NodeId& node : open.in_sync) {
        if (!state.is_live(node)) return conflict("a holder does not live");
    }
    PH_ASSERT(!open.in_sync.empty());
    if (state.partitions.size() >= partitions_max)
        return conflict("a pool has at most " + std::to_string(partitions_max) + " partitions");
    state.partitions.push_back({.id = state.next_partition,
                                .owner = open.in_sync.front(),
                                .in_sync = open.in_sync,
                                .epoch = {1},
                                .solo = open.solo});
    state.next_partition.value += 1;
    return state;
}

Result<PoolState> change(PoolState state, const ClosePartition& close) {
    auto* partition = const_cast<PartitionState*>(state.find(close.partition));
    if (partition == nullptr) return conflict("no such partition");
    partition->phase = PartitionPhase::closing;
    return state;
}

Result<PoolState> change(PoolState state, const SetCopies& set) {
    if (set.copies == 0) return conflict("a message needs a copy");
    state.settings.copies = set.copies;
    return state;
}

// A node that was not told where etcd is could not follow.
Result<PoolState> change(PoolState state, const SetControl& set) {
    if (state.control == set.control)
        return conflict(std::string("the pool is on ") + to_string(set.control) + " already");
    for (const auto& member : state.members) {
        if (set.control == PoolControl::etcd && !member.facts.etcd)
            return conflict(name_of(state, member.id) +
                            " was not told where etcd is when it started: set [pool.etcd] on "
                            "every node and restart them one after another");
    }
    state.control = set.control;
    return state;
}

}  // namespace

const char* to_string(PoolControl control) noexcept {
    return control == PoolControl::etcd ? "etcd" : "embedded";
}

void PartitionState::lose_last_holder() {
    phase = PartitionPhase::closing;
    solo = false;
    unvouched = true;
}

bool PartitionState::holds(const NodeId& node) const {
    return std::find(in_sync.begin(), in_sync.end(), node) != in_sync.end();
}

const PartitionState* PoolState::find(PartitionId id) const {
    const auto found = std::lower_bound(
        partitions.begin(), partitions.end(), id,
        [](const PartitionState& partition, PartitionId sought) { return partition.id < sought; });
    return found == partitions.end() || found->id != id ? nullptr : &*found;
}

const Member* PoolState::member(const NodeId& id) const {
    const auto found = std::lower_bound(
        members.begin(), members.end(), id,
        [](const Member& known, const NodeId& sought) { return known.id < sought; });
    return found == members.end() || found->id != id ? nullptr : &*found;
}

bool PoolState::is_live(const NodeId& node, const Incarnation& of) const {
    const auto* known = member(node);
    return known != nullptr && known->live && known->incarnation == of;
}

bool PoolState::is_live(const NodeId& node) const {
    const auto* known = member(node);
    return known != nullptr && known->live;
}

std::uint32_t PoolState::features() const {
    std::uint32_t least = UINT32_MAX;
    for (const auto& member : members) least = std::min(least, member.facts.features);
    return members.empty() ? 0 : least;
}

Result<PoolState> changed(PoolState state, const Change& what) {
    return std::visit([&](const auto& one) { return change(std::move(state), one); }, what);
}

std::optional<PartitionId> partition_of(const Change& change) {
    return std::visit(
        [](const auto& one) -> std::optional<PartitionId> {
            using One = std::remove_cvref_t<decltype(one)>;
            constexpr bool owners =
                std::is_same_v<One, DropHolder> || std::is_same_v<One, AddHolder> ||
                std::is_same_v<One, HandOver> || std::is_same_v<One, Vouch> ||
                std::is_same_v<One, RetirePartition> || std::is_same_v<One, ClosePartition>;
            if constexpr (owners) return one.partition;
            return std::nullopt;
        },
        change);
}

Result<void> may_ask(const PoolState& state,
                     const Change& change,
                     const NodeId& node,
                     const Incarnation& incarnation) {
    const bool operators = std::holds_alternative<SetDraining>(change) ||
                           std::holds_alternative<RemoveMember>(change) ||
                           std::holds_alternative<SetControl>(change);
    if (operators) return {};
    const auto partition = partition_of(change);
    if (!partition) return Error{Errc::invalid, "only the pool itself makes such a change"};
    const auto* known = state.find(*partition);
    if (known == nullptr) return conflict("no such partition");
    if (known->owner != node || !state.is_live(node, incarnation))
        return Error{Errc::fenced, "only the live owner of the partition may ask for that"};
    return {};
}

Result<PoolState> begun_without(PoolState state,
                                const NodeId& self,
                                const std::vector<NodeId>& others) {
    for (const auto& member : state.members) {
        if (member.id == self || is_in(others, member.id)) continue;
        return conflict("name every other node: " + member.facts.name +
                        " is a member too. Only this node begins anew; those that come back "
                        "join as new ones");
    }
    std::erase_if(state.members, [&](const Member& one) { return one.id != self; });
    for (auto& partition : state.partitions) {
        if (!partition.holds(self)) partition.lose_last_holder();
        partition.in_sync = {self};
        partition.owner.reset();
        partition.epoch.value += 1;
    }
    for (auto& member : state.members) member.live = false;
    state.incarnation += 1;
    state.version.value += 1;
    return state;
}

}  // namespace posthorse::replication
