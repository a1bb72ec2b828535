// The keys of a queue on disk: bytes whose order is the order that the queue needs.
//
// Place     Used by the record store and its recovery. FORMAT.md is the grammar.
// Contract  Every key begins with the partition, so that a partition is one range of each family.
//           Integers are big-endian. Due keys sort by time, then id: the head of a partition's
//           range is its next message.
// Errors    Parsing takes only keys of the right family; a key of the wrong length gives nullopt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/types/ids.h"
#include "proto/types/time.h"
#include "storage/due_position.h"

namespace posthorse::storage {

// The partition number that stands for the store itself; no partition has it.
inline constexpr PartitionId store_itself{0xFFFF'FFFF};

// The second part of a key of the family `meta`.
enum class MetaKind : char {
    arriving = 'a',   // a body that has begun and has no message yet
    format = 'f',     // of the store itself: the format version
    intent = 'i',     // an attempt without an outcome
    mark = 'm',       // fence and position of a partition
    outcome = 'o',    // how an attempt ended, until the other holders know
    probe = 'p',      // of the store itself: written to see that the disk still syncs
    set_aside = 'x',  // bytes that could not be read, under the key where they were
};

struct KeyRange {
    std::string from;
    std::string to;  // exclusive; empty: to the end
};

std::string partition_prefix(PartitionId partition);
std::string envelope_key(QueueId id);
std::string body_key(QueueId id, std::uint32_t index);
std::string due_key(PartitionId partition, const DuePosition& position);
std::string mark_key(PartitionId partition);
std::string arriving_key(QueueId id);
std::string intent_key(QueueId id, std::uint32_t attempt);
std::string outcome_key(QueueId id, std::uint32_t attempt);
std::string set_aside_key(PartitionId partition, char family, std::string_view key);
std::string format_key();
std::string probe_key();

// All keys that begin with `prefix`.
KeyRange range_of(std::string prefix);
KeyRange partition_range(PartitionId partition);
KeyRange body_range(QueueId id);
KeyRange intent_range(PartitionId partition);
KeyRange intent_range(QueueId id);
KeyRange set_aside_range(PartitionId partition);
// Envelopes of `partition` with ids above `after`.
KeyRange envelopes_after(PartitionId partition, QueueId after);
// Due keys from `first` on, up to and with those due at `until`.
KeyRange due_range(PartitionId partition, const DuePosition& first, WallTime until);

std::optional<PartitionId> partition_of(std::string_view key);
std::optional<MetaKind> meta_kind_of(std::string_view key);
std::optional<QueueId> envelope_id(std::string_view key);
std::optional<QueueId> body_id(std::string_view key);
std::optional<QueueId> arriving_id(std::string_view key);
// Of an envelope that was set aside.
std::optional<QueueId> set_aside_id(std::string_view key);
std::optional<DuePosition> due_position(std::string_view key);

struct IntentKey {
    QueueId id;
    std::uint32_t attempt = 0;
};
std::optional<IntentKey> intent_of(std::string_view key);

}  // namespace posthorse::storage
