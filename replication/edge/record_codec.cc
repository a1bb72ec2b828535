#include "replication/edge/record_codec.h"

#include <algorithm>

#include "posthorse/v1/control.pb.h"
#include "replication/core/etcd_port.h"
#include "replication/edge/pool_state_codec.h"
#include "storage/crc32c.h"

namespace posthorse::replication {
namespace {

constexpr std::uint32_t format_of_one = 1;
constexpr std::uint32_t format_version = 2;

// Of what must be as it was written, octet by octet.
std::uint32_t checksum(v1::ControlFile file) {
    if (file.format() != format_of_one) return storage::crc32c(file.state());
    file.set_checksum(0);
    return storage::crc32c(file.SerializeAsString());
}

std::optional<PromisedPool> promise_from(const v1::PromiseRecord& record, Faults& faults) {
    PromisedPool promise{node_from(record.coordinator(), "promise.coordinator", faults),
                         record.attempt(), nullptr};
    if (record.has_genesis()) {
        promise.genesis =
            std::make_shared<const PoolState>(pool_state_from(record.genesis(), faults));
    }
    return promise;
}

ControlRecord record_from(const std::string& octets, Faults& faults) {
    v1::ControlStateRecord state;
    faults.require(state.ParseFromString(octets), "state", "must be a ControlStateRecord");
    ControlRecord record{
        .self = node_from(state.node_id(), "node_id", faults),
        .incarnation = incarnation_from(state.incarnation()),
        .pool_id = text_from(state.pool_id(), codec::pool_id_bytes_max, "pool_id", faults),
        .pool_incarnation = state.pool_incarnation(),
        .agreement = {{state.current_term()},
                      published_from(state.accepted(), faults, Voters::unless_on_etcd)}};
    if (state.has_promise()) record.promise = promise_from(state.promise(), faults);
    faults.require(state.marks_size() <= static_cast<int>(marks_max), "marks",
                   "must have at most " + std::to_string(marks_max));
    if (!faults.any()) record.marks.assign(state.marks().begin(), state.marks().end());
    return record;
}

// Says in the words of today's format what the first one left unsaid.
v1::PoolStateRecord modern(v1::PoolStateRecord pool) {
    pool.set_incarnation(PoolState{}.incarnation);
    const PoolSettings settings;
    pool.mutable_settings()->set_copies(settings.copies);
    pool.mutable_settings()->set_lease_ttl_ms(settings.lease_ttl.count());
    std::uint32_t newest = 0;
    for (const auto& partition : pool.partitions())
        newest = std::max(newest, partition.partition());
    pool.set_next_partition(newest + 1);
    for (auto& member : *pool.mutable_members()) {
        member.mutable_facts()->set_name(member.name());
        member.set_live(true);
    }
    return pool;
}

ControlRecord record_of_one(const v1::ControlFile& file, Faults& faults) {
    const auto self = node_from(file.node_id(), "node_id", faults);
    auto value = pool_state_from(modern(file.pool()), faults);
    const bool alone = value.members.size() == 1 && value.members.front().id == self;
    faults.require(alone, "pool.members", "must be this node alone");
    if (faults.any()) return {};
    ControlRecord record{.self = self,
                         .incarnation = value.members.front().incarnation,
                         .pool_id = value.pool_id,
                         .pool_incarnation = value.incarnation};
    auto& accepted = record.agreement.accepted;
    accepted.version = value.version;
    accepted.configuration.voters = {self};
    accepted.committed = accepted.configuration;
    accepted.value = std::make_shared<const PoolState>(std::move(value));
    return record;
}

Error corrupt(std::string what) {
    return {Errc::corrupt, std::move(what)};
}

}  // namespace

std::string encode_record(const ControlRecord& record) {
    v1::ControlFile file;
    file.set_format(format_version);
    v1::ControlStateRecord state;
    state.set_node_id(node_octets(record.self));
    put(record.incarnation, *state.mutable_incarnation());
    state.set_pool_id(record.pool_id);
    state.set_pool_incarnation(record.pool_incarnation);
    if (record.promise) {
        auto& promise = *state.mutable_promise();
        promise.set_coordinator(node_octets(record.promise->coordinator));
        promise.set_attempt(record.promise->attempt);
        if (record.promise->genesis) put(*record.promise->genesis, *promise.mutable_genesis());
    }
    state.set_current_term(record.agreement.current_term.value);
    put(record.agreement.accepted, *state.mutable_accepted());
    state.mutable_marks()->Assign(record.marks.begin(), record.marks.end());
    file.set_state(state.SerializeAsString());
    file.set_checksum(checksum(file));
    return file.SerializeAsString();
}

Result<ControlRecord> decode_record(const std::string& octets) {
    if (octets.empty()) return corrupt("it is empty");
    v1::ControlFile file;
    if (!file.ParseFromString(octets)) return corrupt("not a control file");
    if (file.format() != format_version && file.format() != format_of_one)
        return corrupt("written by a release that this one does not know");
    if (file.checksum() != checksum(file)) return corrupt("its checksum is wrong");
    Faults faults;
    auto record = file.format() == format_of_one ? record_of_one(file, faults)
                                                 : record_from(file.state(), faults);
    if (faults.any()) return corrupt(faults.first());
    return record;
}

}  // namespace posthorse::replication
