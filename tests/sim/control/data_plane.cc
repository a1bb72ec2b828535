#include "tests/sim/control/data_plane.h"

#include <algorithm>

#include "tests/sim/control/pool.h"

namespace posthorse::sim::control {
namespace {

using namespace std::chrono_literals;

constexpr Duration empties_after = 3s;

bool takes_part(const replication::Member& member) {
    return member.live && !member.draining;
}

}  // namespace

std::size_t DataPlane::stayers() const {
    const auto& members = machine_.core().acting().members;
    return static_cast<std::size_t>(std::count_if(members.begin(), members.end(), takes_part));
}

void DataPlane::tend() {
    if (!machine_.core().lease_live(machine_.now(), Duration{0})) return;
    const auto left = machine_.core().status(machine_.now()).lease_left;
    if (!left || *left == Duration{}) machine_.pool_.journal().counts.exceptions += 1;
    const auto state = machine_.core().acting();
    for (const auto& partition : state.partitions) {
        if (!machine_.up()) return;
        if (partition.owner == machine_.node() && !busy_.contains(partition.id)) tend(partition);
    }
}

void DataPlane::tend(const PartitionState& partition) {
    if (auto change = wanted(partition)) ask(*std::move(change), partition.id);
}

std::optional<Change> DataPlane::wanted(const PartitionState& partition) {
    auto& world = machine_.world_;
    const auto now = machine_.now();
    const auto handed = handed_.find(partition.id);
    const bool again = handed != handed_.end() && handed->second == partition.epoch;
    if (again ||
        (machine_.pool_.restless && partition.in_sync.size() > 1 && world.below(400) == 0)) {
        auto to = partition.in_sync;
        std::erase(to, machine_.node());
        if (to.empty()) return std::nullopt;
        handed_[partition.id] = partition.epoch;
        return replication::HandOver{partition.id, partition.epoch, to[world.below(to.size())]};
    }
    if (partition.phase == replication::PartitionPhase::closing) {
        const auto since = closing_.try_emplace(partition.id, now).first->second;
        if (now - since > empties_after && world.chance(40))
            return replication::RetirePartition{partition.id, partition.epoch};
    }
    if (auto change = narrowed(partition)) return change;
    return widened(partition);
}

std::optional<Change> DataPlane::narrowed(const PartitionState& partition) const {
    for (const auto& holder : partition.in_sync) {
        if (holder == machine_.node() || reaches(holder)) continue;
        return replication::DropHolder{partition.id, partition.epoch, holder};
    }
    return std::nullopt;
}

std::optional<Change> DataPlane::widened(const PartitionState& partition) const {
    if (partition.solo && partition.phase == replication::PartitionPhase::open) return std::nullopt;
    const auto& state = machine_.core().acting();
    const auto copies = static_cast<std::size_t>(std::count_if(
        partition.in_sync.begin(), partition.in_sync.end(), [&](const NodeId& holder) {
            const auto* member = state.member(holder);
            return member != nullptr && takes_part(*member);
        }));
    if (copies >= std::min<std::size_t>(state.settings.copies, stayers())) return std::nullopt;
    std::vector<NodeId> candidates;
    for (const auto& member : state.members) {
        if (takes_part(member) && !partition.holds(member.id) && reaches(member.id))
            candidates.push_back(member.id);
    }
    if (candidates.empty()) return std::nullopt;
    const auto chosen = candidates[machine_.world_.below(candidates.size())];
    machine_.pool_.checker().widening(partition.id, chosen);
    return replication::AddHolder{partition.id, partition.epoch, chosen};
}

bool DataPlane::reaches(const NodeId& node) const {
    return machine_.pool_.reaches(machine_, node);
}

void DataPlane::ask(Change change, PartitionId partition) {
    machine_.refresh_claims();  // it stops before it asks
    machine_.step([&](BootTime now, replication::ControlEffects& out) {
        asked(machine_.core_->propose(std::move(change), now, out), partition);
    });
}

void DataPlane::asked(std::uint64_t request, std::optional<PartitionId> partition) {
    machine_.pool_.journal().counts.proposals += 1;
    requests_[request] = {partition, machine_.now()};
    if (partition) busy_.insert(*partition);
}

void DataPlane::answered(const replication::ControlEffects::Answer& answer) {
    const auto known = requests_.find(answer.request);
    if (answer.error && answer.error->code == Errc::unknown)
        machine_.pool_.journal().counts.unknowns += 1;
    if (known == requests_.end()) return;
    if (known->second.partition) busy_.erase(*known->second.partition);
    requests_.erase(known);
}

bool DataPlane::handed_over(const PartitionState& partition) const {
    const auto handed = handed_.find(partition.id);
    return handed != handed_.end() && handed->second == partition.epoch;
}

bool DataPlane::may_leave() const {
    const auto& state = machine_.core().acting();
    return std::none_of(state.partitions.begin(), state.partitions.end(),
                        [&](const PartitionState& partition) {
                            if (!partition.holds(machine_.node())) return false;
                            return std::none_of(partition.in_sync.begin(), partition.in_sync.end(),
                                                [&](const NodeId& holder) {
                                                    const auto* member = state.member(holder);
                                                    return member != nullptr && takes_part(*member);
                                                });
                        });
}

bool DataPlane::waits_since(BootTime before) const {
    return std::any_of(requests_.begin(), requests_.end(),
                       [&](const auto& entry) { return entry.second.asked < before; });
}

}  // namespace posthorse::sim::control
