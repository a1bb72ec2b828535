// What frames between holders have in common: ids, pieces of bodies, records of the queue.
//
// Place     Under data_codec.h.
// Contract  The readers are total: what breaks a rule goes to `FrameScope::faults`, and something
// is
//           returned that is not used then.
// Bounds    The constants below, far above what a correct peer sends.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/types/limits.h"
#include "replication/core/data_message.h"
#include "replication/edge/pool_state_codec.h"

namespace posthorse::replication {

namespace codec {
inline constexpr std::size_t ids_max = 64 * 1024;           // or attempts, or intents, in one frame
inline constexpr std::size_t chunks_max = 4 * 1024 * 1024;  // of one message: a terabyte
// A head is the trace fields and, of a small message, all of it. A notice has no other chunk, and
// names each of its recipients with what a server said of it.
inline constexpr std::size_t head_bytes_max = 4 * 1024 * 1024;
static_assert(head_bytes_max > 2 * chunk_bytes);
}  // namespace codec

// What the fields of a frame are judged by.
struct FrameScope {
    Slice slice;
    Faults& faults;
};

// --- ids: of messages of the slice's partition
QueueId id_from(const std::string& octets, std::string_view field, const FrameScope& scope);
// The bound of a range need name no message.
QueueId bound_from(const std::string& octets, std::string_view field, const FrameScope& scope);
void put_ids(const std::vector<QueueId>& ids, std::string& to);
std::vector<QueueId> ids_from(const std::string& octets,
                              std::string_view field,
                              const FrameScope& scope);
// At most ids_max?
bool fits(int count, std::string_view field, const FrameScope& scope);

// --- bodies: copied once on their way out, not on their way in
void put_chunk(const Chunk& chunk, std::string& to);
Chunk chunk_from(std::string&& bytes, std::string_view field, const FrameScope& scope);
Chunk head_from(std::string&& bytes, std::string_view field, const FrameScope& scope);
std::uint32_t index_from(std::uint32_t index, std::string_view field, const FrameScope& scope);
std::uint32_t chunk_count_from(std::uint32_t count,
                               std::string_view field,
                               const FrameScope& scope);

// --- records, under their own checksum
Envelope envelope_from(const std::string& record, std::string_view field, const FrameScope& scope);
Intent intent_from(const std::string& record, std::string_view field, const FrameScope& scope);

}  // namespace posthorse::replication
