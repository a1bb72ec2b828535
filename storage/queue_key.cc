#include "storage/queue_key.h"

#include <algorithm>
#include <utility>

#include "storage/big_endian.h"

namespace posthorse::storage {
namespace {

constexpr std::size_t partition_length = 4;
constexpr std::size_t meta_prefix_length = partition_length + 1;
constexpr std::size_t due_length = 8;
constexpr std::size_t number_length = 4;
constexpr std::size_t envelope_key_length = partition_length + QueueId::byte_length;
constexpr std::size_t body_key_length = envelope_key_length + number_length;
constexpr std::size_t due_key_length = partition_length + due_length + QueueId::byte_length;
constexpr std::size_t arriving_key_length = meta_prefix_length + QueueId::byte_length;
constexpr std::size_t intent_key_length = arriving_key_length + number_length;

// A wall clock before 1970 must not sort after all others.
std::uint64_t sortable(WallTime time) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, time.time_since_epoch().count()));
}

std::string meta_prefix(PartitionId partition, MetaKind kind) {
    std::string key = partition_prefix(partition);
    key.push_back(static_cast<char>(kind));
    return key;
}

QueueId id_at(std::string_view key, std::size_t at) {
    return QueueId::from_bytes(key.substr(at, QueueId::byte_length));
}

// The least key above all that begin with `prefix`; empty when there is none.
std::string after_prefix(std::string prefix) {
    while (!prefix.empty() && prefix.back() == '\xFF') prefix.pop_back();
    if (!prefix.empty()) prefix.back() = static_cast<char>(prefix.back() + 1);
    return prefix;
}

}  // namespace

std::string partition_prefix(PartitionId partition) {
    std::string key;
    append_big_endian(key, partition.value);
    return key;
}

std::string envelope_key(QueueId id) {
    return partition_prefix(id.partition()) + id.to_bytes();
}

std::string body_key(QueueId id, std::uint32_t index) {
    std::string key = envelope_key(id);
    append_big_endian(key, index);
    return key;
}

std::string due_key(PartitionId partition, const DuePosition& position) {
    std::string key = partition_prefix(partition);
    append_big_endian(key, sortable(position.due));
    return key + position.id.to_bytes();
}

std::string mark_key(PartitionId partition) {
    return meta_prefix(partition, MetaKind::mark);
}

std::string arriving_key(QueueId id) {
    return meta_prefix(id.partition(), MetaKind::arriving) + id.to_bytes();
}

std::string intent_key(QueueId id, std::uint32_t attempt) {
    std::string key = meta_prefix(id.partition(), MetaKind::intent) + id.to_bytes();
    append_big_endian(key, attempt);
    return key;
}

std::string outcome_key(QueueId id, std::uint32_t attempt) {
    std::string key = meta_prefix(id.partition(), MetaKind::outcome) + id.to_bytes();
    append_big_endian(key, attempt);
    return key;
}

std::string set_aside_key(PartitionId partition, char family, std::string_view key) {
    std::string aside = meta_prefix(partition, MetaKind::set_aside);
    aside.push_back(family);
    aside.append(key);
    return aside;
}

std::string format_key() {
    return meta_prefix(store_itself, MetaKind::format);
}

std::string probe_key() {
    return meta_prefix(store_itself, MetaKind::probe);
}

KeyRange range_of(std::string prefix) {
    std::string end = after_prefix(prefix);
    return {.from = std::move(prefix), .to = std::move(end)};
}

KeyRange partition_range(PartitionId partition) {
    return range_of(partition_prefix(partition));
}

KeyRange body_range(QueueId id) {
    return range_of(envelope_key(id));
}

KeyRange intent_range(QueueId id) {
    return range_of(meta_prefix(id.partition(), MetaKind::intent) + id.to_bytes());
}

KeyRange set_aside_range(PartitionId partition) {
    return range_of(meta_prefix(partition, MetaKind::set_aside));
}

KeyRange intent_range(PartitionId partition) {
    return range_of(meta_prefix(partition, MetaKind::intent));
}

KeyRange envelopes_after(PartitionId partition, QueueId after) {
    KeyRange range = range_of(partition_prefix(partition));
    if (after != QueueId{}) range.from += after.to_bytes() + '\0';
    return range;
}

KeyRange due_range(PartitionId partition, const DuePosition& first, WallTime until) {
    return {
        .from = due_key(partition, first),
        .to = due_key(partition, {.due = until + std::chrono::milliseconds{1}, .id = {}}),
    };
}

std::optional<PartitionId> partition_of(std::string_view key) {
    if (key.size() < partition_length) return std::nullopt;
    return PartitionId{read_big_endian<std::uint32_t>(key, 0)};
}

std::optional<MetaKind> meta_kind_of(std::string_view key) {
    if (key.size() < meta_prefix_length) return std::nullopt;
    return static_cast<MetaKind>(key[partition_length]);
}

std::optional<QueueId> envelope_id(std::string_view key) {
    if (key.size() != envelope_key_length) return std::nullopt;
    return id_at(key, partition_length);
}

std::optional<QueueId> body_id(std::string_view key) {
    if (key.size() != body_key_length) return std::nullopt;
    return id_at(key, partition_length);
}

std::optional<QueueId> arriving_id(std::string_view key) {
    if (key.size() != arriving_key_length) return std::nullopt;
    return id_at(key, meta_prefix_length);
}

std::optional<QueueId> set_aside_id(std::string_view key) {
    const auto prefix = meta_prefix_length + 1;  // and the letter of the family
    if (key.size() < prefix || key[meta_prefix_length] != 'e') return std::nullopt;
    return envelope_id(key.substr(prefix));
}

std::optional<DuePosition> due_position(std::string_view key) {
    if (key.size() != due_key_length) return std::nullopt;
    const auto due = read_big_endian<std::uint64_t>(key, partition_length);
    return DuePosition{
        .due = WallTime{std::chrono::milliseconds{static_cast<std::int64_t>(due)}},
        .id = id_at(key, partition_length + due_length),
    };
}

std::optional<IntentKey> intent_of(std::string_view key) {
    if (key.size() != intent_key_length) return std::nullopt;
    return IntentKey{
        .id = id_at(key, meta_prefix_length),
        .attempt = read_big_endian<std::uint32_t>(key, arriving_key_length),
    };
}

}  // namespace posthorse::storage
