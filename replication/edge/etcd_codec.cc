#include "replication/edge/etcd_codec.h"

#include "posthorse/v1/pool_etcd.pb.h"
#include "proto/types/assert.h"
#include "replication/edge/pool_state_codec.h"
#include "storage/crc32c.h"

namespace posthorse::replication {
namespace {

constexpr std::uint32_t magic = 0x50544345;
constexpr std::uint32_t format_version = 1;
constexpr std::size_t value_bytes_max = 1024 * 1024;

constexpr std::string_view pool_key = "pool";
constexpr std::string_view lease_keys = "lease/";
constexpr std::string_view waiting_keys = "waiting/";

void put_item(const EtcdPool& pool, v1::EtcdItemRecord& to) {
    put(pool.state, *to.mutable_pool()->mutable_state());
    to.mutable_pool()->mutable_marks()->Assign(pool.marks.begin(), pool.marks.end());
}

void put_item(const EtcdLease& lease, v1::EtcdItemRecord& to) {
    auto& record = *to.mutable_lease();
    put(lease.incarnation, *record.mutable_incarnation());
    record.set_known(lease.known.value);
    record.set_mark(lease.mark);
    record.set_beat(lease.beat);
}

void put_item(const EtcdWaiting& waiting, v1::EtcdItemRecord& to) {
    auto& record = *to.mutable_waiting();
    put(waiting.incarnation, *record.mutable_incarnation());
    put(waiting.facts, *record.mutable_facts());
    record.set_known(waiting.known.value);
    record.set_beat(waiting.beat);
}

void put_item(const EtcdUnreadable&, v1::EtcdItemRecord&) {
    PH_ASSERT(false);
}

EtcdPool pool_from(const v1::EtcdPoolRecord& record, Faults& faults) {
    EtcdPool pool{.state = pool_state_from(record.state(), faults)};
    faults.require(record.marks_size() >= 1 && record.marks_size() <= static_cast<int>(marks_max),
                   "pool.marks", "must be 1 to " + std::to_string(marks_max));
    if (!faults.any()) pool.marks.assign(record.marks().begin(), record.marks().end());
    return pool;
}

EtcdLease lease_from(const v1::EtcdLeaseRecord& record) {
    return {.incarnation = incarnation_from(record.incarnation()),
            .known = {record.known()},
            .mark = record.mark(),
            .beat = record.beat()};
}

EtcdWaiting waiting_from(const v1::EtcdWaitingRecord& record, Faults& faults) {
    return {.incarnation = incarnation_from(record.incarnation()),
            .facts = facts_from(record.facts(), faults),
            .known = {record.known()},
            .beat = record.beat()};
}

EtcdItem item_from(EtcdKey::Kind kind, const v1::EtcdItemRecord& record, Faults& faults) {
    switch (record.item_case()) {
        case v1::EtcdItemRecord::kPool:
            faults.require(kind == EtcdKey::Kind::pool, "item", "must not be a pool's value here");
            return pool_from(record.pool(), faults);
        case v1::EtcdItemRecord::kLease:
            faults.require(kind == EtcdKey::Kind::lease, "item", "must not be a lease here");
            return lease_from(record.lease());
        case v1::EtcdItemRecord::kWaiting:
            faults.require(kind == EtcdKey::Kind::waiting, "item", "must not be a start here");
            return waiting_from(record.waiting(), faults);
        case v1::EtcdItemRecord::ITEM_NOT_SET:
            break;
    }
    faults.add("item", "must be one that this release knows");
    return EtcdUnreadable{};
}

EtcdUnreadable unreadable(std::string why) {
    return {std::move(why)};
}

}  // namespace

EtcdPlace::EtcdPlace(std::string prefix) : begin_(std::move(prefix)) {
    while (!begin_.empty() && begin_.back() == '/') begin_.pop_back();
    end_ = begin_ + static_cast<char>('/' + 1);
    begin_ += '/';
}

std::string EtcdPlace::encode_key(const EtcdKey& key) const {
    switch (key.kind) {
        case EtcdKey::Kind::pool:
            return begin_ + std::string(pool_key);
        case EtcdKey::Kind::lease:
            return begin_ + std::string(lease_keys) + key.node.to_string();
        case EtcdKey::Kind::waiting:
            return begin_ + std::string(waiting_keys) + key.node.to_string();
    }
    PH_ASSERT(false);
    return {};
}

std::optional<EtcdKey> EtcdPlace::decode_key(std::string_view octets) const {
    if (!octets.starts_with(begin_)) return std::nullopt;
    const auto rest = octets.substr(begin_.size());
    EtcdKey key;
    if (rest == pool_key) return key;
    if (rest.starts_with(lease_keys)) {
        key.kind = EtcdKey::Kind::lease;
    } else if (rest.starts_with(waiting_keys)) {
        key.kind = EtcdKey::Kind::waiting;
    } else {
        return std::nullopt;
    }
    const auto node = NodeId::parse(rest.substr(rest.find('/') + 1));
    if (!node) return std::nullopt;
    key.node = *node;
    // One way of writing each.
    return encode_key(key) == octets ? std::optional(key) : std::nullopt;
}

std::string encode_item(const EtcdItem& item) {
    v1::EtcdItemRecord record;
    std::visit([&](const auto& one) { put_item(one, record); }, item);
    v1::EtcdValue value;
    value.set_magic(magic);
    value.set_format(format_version);
    value.set_item(record.SerializeAsString());
    value.set_checksum(storage::crc32c(value.item()));
    return value.SerializeAsString();
}

EtcdItem decode_item(EtcdKey::Kind kind, std::string_view octets) {
    if (octets.size() > value_bytes_max) return unreadable("it is larger than a mebibyte");
    v1::EtcdValue value;
    if (!value.ParseFromArray(octets.data(), static_cast<int>(octets.size())) ||
        value.magic() != magic)
        return unreadable("another program wrote it");
    if (value.format() != format_version)
        return unreadable("a release that this one does not know wrote it");
    if (value.checksum() != storage::crc32c(value.item()))
        return unreadable("its checksum is wrong");
    v1::EtcdItemRecord record;
    if (!record.ParseFromString(value.item())) return unreadable("its checksum covers no item");
    Faults faults;
    auto item = item_from(kind, record, faults);
    if (faults.any()) return unreadable(faults.first());
    return item;
}

}  // namespace posthorse::replication
