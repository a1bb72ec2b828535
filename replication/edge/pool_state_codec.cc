#include "replication/edge/pool_state_codec.h"

#include <algorithm>
#include <cstring>

namespace posthorse::replication {
namespace {

using Octets = google::protobuf::RepeatedPtrField<std::string>;

std::string up_to(std::size_t most) {
    return "must have at most " + std::to_string(most);
}

void put_nodes(const std::vector<NodeId>& nodes, Octets& to) {
    for (const NodeId& node : nodes) *to.Add() = node_octets(node);
}

std::vector<NodeId> nodes_from(const Octets& from, std::string_view field, Faults& faults) {
    std::vector<NodeId> nodes;
    faults.require(from.size() <= codec::members_max, field, up_to(codec::members_max));
    if (faults.any()) return nodes;
    for (const auto& octets : from) nodes.push_back(node_from(octets, field, faults));
    return nodes;
}

bool unique(std::vector<NodeId> nodes) {
    std::sort(nodes.begin(), nodes.end());
    return std::adjacent_find(nodes.begin(), nodes.end()) == nodes.end();
}

// Whoever is listed holds: twice is once too often, and nobody is a partition that is lost.
std::vector<NodeId> holders_from(const Octets& from, std::string_view field, Faults& faults) {
    auto nodes = nodes_from(from, field, faults);
    faults.require(!nodes.empty(), field, "must not be empty");
    faults.require(unique(nodes), field, "must not name a node twice");
    return nodes;
}

template <class T, class Key>
bool ascending(const std::vector<T>& values, Key key) {
    return std::adjacent_find(values.begin(), values.end(), [&](const T& one, const T& next) {
               return !(key(one) < key(next));
           }) == values.end();
}

void put_member(const Member& member, v1::MemberRecord& to) {
    to.set_node_id(node_octets(member.id));
    put(member.incarnation, *to.mutable_incarnation());
    to.set_draining(member.draining);
    put(member.facts, *to.mutable_facts());
    to.set_live(member.live);
    put(member.acknowledged, *to.mutable_acknowledged());
}

Member member_from(const v1::MemberRecord& record, Faults& faults) {
    return {.id = node_from(record.node_id(), "member.node_id", faults),
            .facts = facts_from(record.facts(), faults),
            .incarnation = incarnation_from(record.incarnation()),
            .live = record.live(),
            .draining = record.draining(),
            .acknowledged = place_from(record.acknowledged())};
}

void put_partition(const PartitionState& partition, v1::PartitionRecord& to) {
    to.set_partition(partition.id.value);
    if (partition.owner) to.set_owner(node_octets(*partition.owner));
    put_nodes(partition.in_sync, *to.mutable_in_sync());
    to.set_epoch(partition.epoch.value);
    to.set_closing(partition.phase == PartitionPhase::closing);
    to.set_solo(partition.solo);
    to.set_unvouched(partition.unvouched);
}

PartitionState partition_from(const v1::PartitionRecord& record, Faults& faults) {
    PartitionState partition{
        .id = {record.partition()},
        .owner = optional_node_from(record.owner(), "partition.owner", faults),
        .in_sync = holders_from(record.in_sync(), "partition.in_sync", faults),
        .epoch = {record.epoch()},
        .phase = record.closing() ? PartitionPhase::closing : PartitionPhase::open,
        .solo = record.solo(),
        .unvouched = record.unvouched()};
    faults.require(!partition.owner || partition.holds(*partition.owner), "partition.owner",
                   "must be in sync");
    return partition;
}

PoolSettings settings_from(const v1::PoolSettingsRecord& record, Faults& faults) {
    faults.require(record.copies() >= 1 && record.copies() <= codec::copies_max, "settings.copies",
                   "must be 1 to " + std::to_string(codec::copies_max));
    return {record.copies(), duration_from(record.lease_ttl_ms(), std::chrono::milliseconds{1},
                                           codec::lease_max, "settings.lease_ttl_ms", faults)};
}

Configuration configuration_from(const v1::ConfigurationRecord& record,
                                 std::string_view field,
                                 Faults& faults) {
    Configuration configuration{nodes_from(record.voters(), field, faults)};
    faults.require(ascending(configuration.voters, [](const NodeId& node) { return node; }), field,
                   "must ascend");
    return configuration;
}

void check(const PoolState& state, Faults& faults) {
    faults.require(!state.pool_id.empty(), "value.pool_id", "must not be empty");
    faults.require(state.incarnation != 0, "value.incarnation", "must not be 0");
    faults.require(ascending(state.members, [](const Member& member) { return member.id; }),
                   "value.members", "must ascend by node id");
    faults.require(
        ascending(state.partitions, [](const PartitionState& partition) { return partition.id; }),
        "value.partitions", "must ascend");
    faults.require(state.partitions.empty() || state.partitions.back().id < state.next_partition,
                   "value.next_partition", "must be above every partition");
}

// --- changes, one by one
void put_start(const Start& start, v1::StartRecord& to) {
    to.set_node_id(node_octets(start.node));
    put(start.incarnation, *to.mutable_incarnation());
    put(start.facts, *to.mutable_facts());
}

Start start_from(const v1::StartRecord& record, Faults& faults) {
    return {node_from(record.node_id(), "start.node_id", faults),
            incarnation_from(record.incarnation()), facts_from(record.facts(), faults)};
}

void put_ended(const Ended& ended, v1::EndedRecord& to) {
    to.set_node_id(node_octets(ended.node));
    put(ended.incarnation, *to.mutable_incarnation());
}

Ended ended_from(const v1::EndedRecord& record, Faults& faults) {
    return {node_from(record.node_id(), "ended.node_id", faults),
            incarnation_from(record.incarnation())};
}

void put_in_epoch(PartitionId partition,
                  Epoch epoch,
                  const NodeId* node,
                  v1::ChangeRecord::InEpoch& to) {
    to.set_partition(partition.value);
    to.set_epoch(epoch.value);
    if (node != nullptr) to.set_node_id(node_octets(*node));
}

void put_change(const Start& change, v1::ChangeRecord& to) {
    put_start(change, *to.mutable_start());
}
void put_change(const Evict& change, v1::ChangeRecord& to) {
    auto& record = *to.mutable_evict();
    for (const auto& ended : change.ended) put_ended(ended, *record.add_ended());
    for (const auto& start : change.starts) put_start(start, *record.add_starts());
    put_nodes(change.silent, *record.mutable_silent());
}
void put_change(const Leave& change, v1::ChangeRecord& to) {
    put_ended(change.ended, *to.mutable_leave());
}
void put_change(const RemoveMember& change, v1::ChangeRecord& to) {
    to.mutable_remove()->set_node_id(node_octets(change.node));
    to.mutable_remove()->set_lost(change.lost == Lost::accept);
}
void put_change(const SetDraining& change, v1::ChangeRecord& to) {
    to.mutable_set_draining()->set_node_id(node_octets(change.node));
    to.mutable_set_draining()->set_draining(change.draining);
}
void put_change(const DropHolder& change, v1::ChangeRecord& to) {
    put_in_epoch(change.partition, change.epoch, &change.holder, *to.mutable_drop_holder());
}
void put_change(const AddHolder& change, v1::ChangeRecord& to) {
    put_in_epoch(change.partition, change.epoch, &change.holder, *to.mutable_add_holder());
}
void put_change(const HandOver& change, v1::ChangeRecord& to) {
    put_in_epoch(change.partition, change.epoch, &change.to, *to.mutable_hand_over());
}
void put_change(const Vouch& change, v1::ChangeRecord& to) {
    put_in_epoch(change.partition, change.epoch, nullptr, *to.mutable_vouch());
}
void put_change(const RetirePartition& change, v1::ChangeRecord& to) {
    put_in_epoch(change.partition, change.epoch, nullptr, *to.mutable_retire());
}
void put_change(const OpenPartition& change, v1::ChangeRecord& to) {
    put_nodes(change.in_sync, *to.mutable_open()->mutable_in_sync());
    to.mutable_open()->set_solo(change.solo);
}
void put_change(const ClosePartition& change, v1::ChangeRecord& to) {
    to.set_close(change.partition.value);
}
void put_change(const SetControl& change, v1::ChangeRecord& to) {
    to.mutable_set_control()->set_to_etcd(change.control == PoolControl::etcd);
}
void put_change(const SetCopies& change, v1::ChangeRecord& to) {
    to.set_set_copies(change.copies);
}

Evict evict_from(const v1::ChangeRecord::Evict& record, Faults& faults) {
    Evict evict;
    faults.require(record.ended_size() <= codec::members_max, "evict.ended",
                   up_to(codec::members_max));
    faults.require(record.starts_size() <= codec::members_max, "evict.starts",
                   up_to(codec::members_max));
    if (faults.any()) return evict;
    for (const auto& ended : record.ended()) evict.ended.push_back(ended_from(ended, faults));
    for (const auto& start : record.starts()) evict.starts.push_back(start_from(start, faults));
    evict.silent = nodes_from(record.silent(), "evict.silent", faults);
    return evict;
}

template <class OneOfOne>
OneOfOne of_holder(const v1::ChangeRecord::InEpoch& record, Faults& faults) {
    return {{record.partition()},
            {record.epoch()},
            node_from(record.node_id(), "change.node_id", faults)};
}

}  // namespace

void Faults::add(std::string_view field, std::string_view rule) {
    if (first_.empty()) first_ = std::string(field) + ": " + std::string(rule);
}

std::string node_octets(const NodeId& id) {
    return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

NodeId node_from(const std::string& octets, std::string_view field, Faults& faults) {
    NodeId id;
    if (octets.size() == id.bytes.size()) {
        std::memcpy(id.bytes.data(), octets.data(), octets.size());
    } else {
        faults.add(field, "must be 16 octets");
    }
    return id;
}

std::optional<NodeId> optional_node_from(const std::string& octets,
                                         std::string_view field,
                                         Faults& faults) {
    if (octets.empty()) return std::nullopt;
    return node_from(octets, field, faults);
}

std::string text_from(const std::string& text,
                      std::size_t bytes_max,
                      std::string_view field,
                      Faults& faults) {
    faults.require(text.size() <= bytes_max, field, up_to(bytes_max) + " octets");
    return faults.any() ? std::string() : text;
}

std::string address_from(const std::string& text, std::string_view field, Faults& faults) {
    const auto fits = [](unsigned char c) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        return letter || (c >= '0' && c <= '9') ||
               std::string_view(".-_:[]%").find(static_cast<char>(c)) != std::string_view::npos;
    };
    faults.require(std::all_of(text.begin(), text.end(), fits), field, "must be host:port");
    return text_from(text, codec::address_bytes_max, field, faults);
}

Duration duration_from(std::int64_t milliseconds,
                       Duration least,
                       Duration most,
                       std::string_view field,
                       Faults& faults) {
    const Duration duration{milliseconds};
    faults.require(
        duration >= least && duration <= most, field,
        "must be " + std::to_string(least.count()) + " to " + std::to_string(most.count()));
    return faults.any() ? Duration{} : duration;
}

void put(const Incarnation& incarnation, v1::IncarnationRecord& to) {
    to.set_counter(incarnation.counter);
    to.set_random(incarnation.random);
}

Incarnation incarnation_from(const v1::IncarnationRecord& record) {
    return {record.counter(), record.random()};
}

void put(const Place& place, v1::PlaceRecord& to) {
    to.set_term(place.term.value);
    to.set_version(place.version.value);
}

Place place_from(const v1::PlaceRecord& record) {
    return {{record.term()}, {record.version()}};
}

void put(const Facts& facts, v1::FactsRecord& to) {
    to.set_name(facts.name);
    to.set_address(facts.address);
    to.set_zone(facts.zone);
    to.set_release(facts.release);
    to.set_features(facts.features);
    to.set_etcd(facts.etcd);
}

Facts facts_from(const v1::FactsRecord& record, Faults& faults) {
    return {text_from(record.name(), codec::text_bytes_max, "facts.name", faults),
            address_from(record.address(), "facts.address", faults),
            text_from(record.zone(), codec::text_bytes_max, "facts.zone", faults),
            text_from(record.release(), codec::text_bytes_max, "facts.release", faults),
            record.features(),
            record.etcd()};
}

void put(const PoolState& state, v1::PoolStateRecord& to) {
    to.set_pool_id(state.pool_id);
    to.set_version(state.version.value);
    for (const auto& member : state.members) put_member(member, *to.add_members());
    for (const auto& partition : state.partitions) put_partition(partition, *to.add_partitions());
    to.set_incarnation(state.incarnation);
    to.mutable_settings()->set_copies(state.settings.copies);
    to.mutable_settings()->set_lease_ttl_ms(state.settings.lease_ttl.count());
    to.set_next_partition(state.next_partition.value);
    to.set_on_etcd(state.control == PoolControl::etcd);
}

PoolState pool_state_from(const v1::PoolStateRecord& record, Faults& faults) {
    faults.require(record.members_size() <= codec::members_max, "value.members",
                   up_to(codec::members_max));
    faults.require(record.partitions_size() <= codec::partitions_max, "value.partitions",
                   up_to(codec::partitions_max));
    PoolState state{
        .pool_id = text_from(record.pool_id(), codec::pool_id_bytes_max, "value.pool_id", faults),
        .incarnation = record.incarnation(),
        .version = {record.version()},
        .control = record.on_etcd() ? PoolControl::etcd : PoolControl::embedded,
        .settings = settings_from(record.settings(), faults),
        .next_partition = {record.next_partition()}};
    for (int i = 0; i < record.members_size() && !faults.any(); ++i)
        state.members.push_back(member_from(record.members(i), faults));
    for (int i = 0; i < record.partitions_size() && !faults.any(); ++i)
        state.partitions.push_back(partition_from(record.partitions(i), faults));
    check(state, faults);
    return state;
}

void put(const Configuration& configuration, v1::ConfigurationRecord& to) {
    put_nodes(configuration.voters, *to.mutable_voters());
}

void put(const Published& published, v1::PublishedRecord& to) {
    to.set_term(published.term.value);
    to.set_version(published.version.value);
    if (published.value) put(*published.value, *to.mutable_value());
    put(published.configuration, *to.mutable_configuration());
    put(published.committed, *to.mutable_committed());
}

Published published_from(const v1::PublishedRecord& record, Faults& faults, Voters voters) {
    Published published{
        .term = {record.term()},
        .version = {record.version()},
        .configuration =
            configuration_from(record.configuration(), "published.configuration", faults),
        .committed = configuration_from(record.committed(), "published.committed", faults)};
    if (!record.has_value()) return published;
    auto value = pool_state_from(record.value(), faults);
    faults.require(value.version == published.version, "published.version",
                   "must be the value's version");
    // Nobody could ever decide anything again.
    const bool open = voters == Voters::unless_on_etcd && value.control == PoolControl::etcd;
    faults.require(open || !published.configuration.voters.empty(), "published.configuration",
                   "must not be empty");
    faults.require(open || !published.committed.voters.empty(), "published.committed",
                   "must not be empty");
    published.value = std::make_shared<const PoolState>(std::move(value));
    return published;
}

void put(const Change& change, v1::ChangeRecord& to) {
    std::visit([&](const auto& one) { put_change(one, to); }, change);
}

Change change_from(const v1::ChangeRecord& record, Faults& faults) {
    switch (record.change_case()) {
        case v1::ChangeRecord::kStart:
            return start_from(record.start(), faults);
        case v1::ChangeRecord::kEvict:
            return evict_from(record.evict(), faults);
        case v1::ChangeRecord::kLeave:
            return Leave{ended_from(record.leave(), faults)};
        case v1::ChangeRecord::kRemove:
            return RemoveMember{node_from(record.remove().node_id(), "remove.node_id", faults),
                                record.remove().lost() ? Lost::accept : Lost::refuse};
        case v1::ChangeRecord::kSetDraining:
            return SetDraining{
                node_from(record.set_draining().node_id(), "set_draining.node_id", faults),
                record.set_draining().draining()};
        case v1::ChangeRecord::kDropHolder:
            return of_holder<DropHolder>(record.drop_holder(), faults);
        case v1::ChangeRecord::kAddHolder:
            return of_holder<AddHolder>(record.add_holder(), faults);
        case v1::ChangeRecord::kHandOver:
            return of_holder<HandOver>(record.hand_over(), faults);
        case v1::ChangeRecord::kVouch:
            return Vouch{{record.vouch().partition()}, {record.vouch().epoch()}};
        case v1::ChangeRecord::kRetire:
            return RetirePartition{{record.retire().partition()}, {record.retire().epoch()}};
        case v1::ChangeRecord::kOpen:
            return OpenPartition{holders_from(record.open().in_sync(), "open.in_sync", faults),
                                 record.open().solo()};
        case v1::ChangeRecord::kClose:
            return ClosePartition{{record.close()}};
        case v1::ChangeRecord::kSetCopies:
            faults.require(record.set_copies() <= codec::copies_max, "set_copies",
                           "must be at most " + std::to_string(codec::copies_max));
            return SetCopies{record.set_copies()};
        case v1::ChangeRecord::kSetControl:
            return SetControl{record.set_control().to_etcd() ? PoolControl::etcd
                                                             : PoolControl::embedded};
        case v1::ChangeRecord::CHANGE_NOT_SET:
            break;
    }
    faults.add("change", "must be one that this release knows");
    return Change{};
}

}  // namespace posthorse::replication
