// Envelopes, intents, outcomes and partition marks as bytes, and back.
//
// Place     Between the values of proto/types and the families of FORMAT.md. Uses the protobuf
//           schema proto/posthorse/v1/queue_record.proto; nobody else names it.
// Contract  A record is: format version (one byte), CRC-32C of the payload (four bytes), payload.
//           What encode() made, decode() gives back equal. The CRC is end to end: a record that
//           was damaged in memory, on a disk without checksums or on the way between nodes is
//           seen.
// Errors    corrupt: wrong version, checksum, or a value that no encode() makes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/types/envelope.h"
#include "proto/types/result.h"
#include "storage/queue_store.h"
#include "storage/queue_summary.h"

namespace posthorse::storage {

// Of a record. The lowest is written that says everything; a higher one holds what only later
// releases know and an older one must not forget: the second wishes for notices, for UTF-8, for
// TLS, the third times: before which the message must not go, until which it is to be delivered.
inline constexpr std::uint8_t record_format = 1;
inline constexpr std::uint8_t record_format_with_wishes = 2;
inline constexpr std::uint8_t record_format_with_times = 4;  // a flipped bit makes no other: not 3
// Of the store as a whole (the meta key `format`), and the older one that is read, too: marks of 16
// bytes, which told no position apart from the fence.
inline constexpr std::uint8_t store_format = 2;
inline constexpr std::uint8_t store_format_read = 1;

// How far a partition's operations have come.
struct PartitionMark {
    Epoch fence;
    Position at;  // of the last operation that was applied; never above the fence
    std::optional<Position> before;  // while a copy is brought up: where it stood at BeginCopy

    Position position() const { return before.value_or(at); }
    bool operator==(const PartitionMark&) const = default;
};

std::string encode(const Envelope& envelope);
std::string encode(const Intent& intent);
std::string encode(const AttemptOutcome& outcome);
std::string encode(const PartitionMark& mark);

// What a due key holds of its message: so that a start can count octets, and an operator domains,
// without a look at the messages.
std::string encode_due(const Envelope& envelope);
// nullopt: a key of an older release, which held nothing.
std::optional<std::uint64_t> size_in_due(std::string_view value);

struct Waiting {
    WallTime accepted_at{};
    std::vector<PendingDomain> domains;
};
// Into `out`, whose room is used again. False: only the envelope tells it. That is so of a message
// to more domains than indexed_domains_max, and of a key of an older release.
bool read_waiting(std::string_view due_value, Waiting& out);

// Differs when the record does, but by chance: version and checksum.
std::uint64_t digest(const Envelope& envelope);

Result<Envelope> decode_envelope(std::string_view record);
Result<Intent> decode_intent(std::string_view record);
Result<AttemptOutcome> decode_outcome(std::string_view record);
Result<PartitionMark> decode_mark(std::string_view record);

}  // namespace posthorse::storage
