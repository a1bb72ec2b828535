// Envelopes, intents and partition marks as bytes, and back.
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
#include <string>
#include <string_view>

#include "proto/types/envelope.h"
#include "proto/types/result.h"

namespace posthorse::storage {

// Of every record, and of the store as a whole (the meta key `format`).
inline constexpr std::uint8_t record_format = 1;

// How far a partition's operations have come.
struct PartitionMark {
    Epoch fence;
    Sequence last;  // highest applied in the epoch `fence`
    bool operator==(const PartitionMark&) const = default;
};

std::string encode(const Envelope& envelope);
std::string encode(const Intent& intent);
std::string encode(const PartitionMark& mark);

Result<Envelope> decode_envelope(std::string_view record);
Result<Intent> decode_intent(std::string_view record);
Result<PartitionMark> decode_mark(std::string_view record);

}  // namespace posthorse::storage
