#include "daemon/admin/pool_messages.h"

#include <set>

#include "daemon/admin/member_name.h"
#include "daemon/admin/pool_figures.h"
#include "proto/types/reply.h"

namespace posthorse::admin {
namespace {

using replication::Member;
using replication::PartitionState;

std::string safe(const std::string& text) {
    constexpr std::size_t text_bytes_max = 1024;
    return sanitise(text, text_bytes_max);
}

void set(google::protobuf::Duration& out, Duration value) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(value);
    out.set_seconds(seconds.count());
    out.set_nanos(static_cast<std::int32_t>(std::chrono::nanoseconds{value - seconds}.count()));
}

// Of itself a node knows better than the leader.
std::optional<Duration> lease_left(const PoolView& view, const NodeId& node) {
    if (node == view.status.self && view.status.lease_left) return view.status.lease_left;
    const auto found = view.status.leases.find(node);
    return found == view.status.leases.end() ? std::nullopt : std::optional(found->second);
}

void fill(v1::ThisNode& out, const PoolView& view) {
    const auto& status = view.status;
    out.set_id(status.self.to_string());
    out.set_name(view.name.empty() ? name_of(view.committed, status.self) : safe(view.name));
    out.set_phase(safe(status.phase));
    out.set_waits_for(safe(status.waits_for));
    out.set_incarnation(status.incarnation.counter);
    if (status.lease_left) set(*out.mutable_lease_left(), *status.lease_left);
    out.set_evictable(status.evictable);
}

void fill(v1::Member& out, const Member& member, const PoolView& view) {
    out.set_id(member.id.to_string());
    out.set_name(safe(member.facts.name));
    out.set_address(safe(member.facts.address));
    out.set_zone(safe(member.facts.zone));
    out.set_release(safe(member.facts.release));
    out.set_features(member.facts.features);
    out.set_live(member.live);
    out.set_draining(member.draining);
    out.set_incarnation(member.incarnation.counter);
    out.set_voter(view.status.voters.contains(member.id));
    out.set_leader(view.status.leader == member.id);
    if (const auto left = lease_left(view, member.id)) set(*out.mutable_lease_left(), *left);
    out.set_acknowledged_version(member.acknowledged.version.value);
    const auto holdings = holdings_of(view.committed, member.id);
    out.set_partitions_owned(holdings.owned);
    out.set_partitions_in_sync(holdings.in_sync);
}

void fill(v1::Partition& out, const PartitionState& partition, const PoolView& view) {
    out.set_id(partition.id.value);
    if (partition.owner) {
        out.set_owner_id(partition.owner->to_string());
        out.set_owner_name(name_of(view.committed, *partition.owner));
    }
    for (const auto& node : partition.in_sync) out.add_in_sync_ids(node.to_string());
    out.set_epoch(partition.epoch.value);
    out.set_phase(partition.phase == replication::PartitionPhase::open
                      ? v1::PARTITION_PHASE_OPEN
                      : v1::PARTITION_PHASE_CLOSING);
    out.set_solo(partition.solo);
    out.set_short_of_copies(is_short(view.committed, partition));
    out.set_unvouched(partition.unvouched);
}

void fill_agreement(v1::GetPoolResponse& out, const PoolView& view) {
    const auto& status = view.status;
    out.set_term(status.term.value);
    if (status.leader) out.set_leader_id(status.leader->to_string());
    for (const auto& voter : status.voters.voters) out.add_voter_ids(voter.to_string());
    out.set_voters_changing(status.voters_change);
}

void fill_releases(v1::GetPoolResponse& out, const replication::PoolState& state) {
    std::set<std::string> releases;
    for (const auto& member : state.members) releases.insert(safe(member.facts.release));
    for (const auto& release : releases) out.add_releases(release);
    out.set_features(state.features());
}

}  // namespace

v1::GetPoolResponse to_pool(const PoolView& view) {
    v1::GetPoolResponse out;
    fill(*out.mutable_this_node(), view);
    for (const auto& directory : view.set_aside) out.add_set_aside(safe(directory));
    out.set_control(to_string(view.status.control));
    out.set_can_decide(can_decide(view.status));
    fill_agreement(out, view);
    const auto& state = view.committed;
    if (state.pool_id.empty()) return out;
    out.set_pool_id(safe(state.pool_id));
    out.set_pool_incarnation(state.incarnation);
    out.set_version(state.version.value);
    out.set_copies(state.settings.copies);
    set(*out.mutable_lease_ttl(), state.settings.lease_ttl);
    fill_releases(out, state);
    for (const auto& member : state.members) fill(*out.add_members(), member, view);
    for (const auto& partition : state.partitions) fill(*out.add_partitions(), partition, view);
    return out;
}

}  // namespace posthorse::admin
