#include "replication/edge/frame_fields.h"

#include "storage/queue_record.h"

namespace posthorse::replication {
namespace {

std::string up_to(std::size_t most) {
    return "must have at most " + std::to_string(most);
}

Chunk bounded_chunk(std::string&& bytes,
                    std::size_t bytes_max,
                    std::string_view field,
                    const FrameScope& scope) {
    scope.faults.require(bytes.size() <= bytes_max, field, up_to(bytes_max) + " octets");
    return make_chunk(std::move(bytes));
}

}  // namespace

// ------------------------------------------------------------------ ids

QueueId bound_from(const std::string& octets, std::string_view field, const FrameScope& scope) {
    const bool whole = octets.size() == QueueId::byte_length;
    scope.faults.require(whole, field, "must be 16 octets");
    return whole ? QueueId::from_bytes(octets) : QueueId{};
}

QueueId id_from(const std::string& octets, std::string_view field, const FrameScope& scope) {
    const auto id = bound_from(octets, field, scope);
    scope.faults.require(id.partition() == scope.slice.partition, field,
                         "must be of the frame's partition");
    return id;
}

void put_ids(const std::vector<QueueId>& ids, std::string& to) {
    to.reserve(ids.size() * QueueId::byte_length);
    for (const auto& id : ids) to += id.to_bytes();
}

std::vector<QueueId> ids_from(const std::string& octets,
                              std::string_view field,
                              const FrameScope& scope) {
    constexpr auto each = QueueId::byte_length;
    std::vector<QueueId> ids;
    scope.faults.require(octets.size() % each == 0, field, "must be 16 octets for each");
    scope.faults.require(octets.size() / each <= codec::ids_max, field, up_to(codec::ids_max));
    if (scope.faults.any()) return ids;
    ids.reserve(octets.size() / each);
    for (std::size_t at = 0; at < octets.size(); at += each)
        ids.push_back(id_from(octets.substr(at, each), field, scope));
    return ids;
}

bool fits(int count, std::string_view field, const FrameScope& scope) {
    scope.faults.require(static_cast<std::size_t>(count) <= codec::ids_max, field,
                         up_to(codec::ids_max));
    return !scope.faults.any();
}

// ------------------------------------------------------------------ bodies and records

void put_chunk(const Chunk& chunk, std::string& to) {
    if (chunk) to = *chunk;
}

Chunk chunk_from(std::string&& bytes, std::string_view field, const FrameScope& scope) {
    return bounded_chunk(std::move(bytes), chunk_bytes, field, scope);
}

Chunk head_from(std::string&& bytes, std::string_view field, const FrameScope& scope) {
    return bounded_chunk(std::move(bytes), codec::head_bytes_max, field, scope);
}

std::uint32_t index_from(std::uint32_t index, std::string_view field, const FrameScope& scope) {
    scope.faults.require(index >= 1 && index <= codec::chunks_max, field,
                         "must be 1 to " + std::to_string(codec::chunks_max));
    return index;
}

std::uint32_t chunk_count_from(std::uint32_t count,
                               std::string_view field,
                               const FrameScope& scope) {
    scope.faults.require(count <= codec::chunks_max, field,
                         "must be at most " + std::to_string(codec::chunks_max));
    return count;
}

Envelope envelope_from(const std::string& record, std::string_view field, const FrameScope& scope) {
    auto envelope = storage::decode_envelope(record);
    if (!envelope) {
        scope.faults.add(field, envelope.error().what);
        return {};
    }
    scope.faults.require(envelope->id.partition() == scope.slice.partition, field,
                         "must be of the frame's partition");
    chunk_count_from(envelope->chunk_count, field, scope);
    return *std::move(envelope);
}

Intent intent_from(const std::string& record, std::string_view field, const FrameScope& scope) {
    auto intent = storage::decode_intent(record);
    if (!intent) {
        scope.faults.add(field, intent.error().what);
        return {};
    }
    scope.faults.require(intent->id.partition() == scope.slice.partition, field,
                         "must be of the frame's partition");
    return *std::move(intent);
}

}  // namespace posthorse::replication
