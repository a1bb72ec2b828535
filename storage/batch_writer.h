// Writes of records, by what they are: the one way in which messages get into a batch.
//
// Place     Used by queue_batch.cc, for operations that read nothing, and copy_batch.cc, for those
//           that look at the disk.
// Contract  Appends to a batch in which the later write to a key wins.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "proto/types/assert.h"
#include "storage/key_value.h"
#include "storage/queue_key.h"
#include "storage/queue_record.h"

namespace posthorse::storage {

class BatchWriter {
public:
    explicit BatchWriter(std::vector<Write>& out) : out_(out) {}

    void put(Family family, std::string key, Chunk value) {
        out_.push_back({family, std::move(key), std::move(value)});
    }
    void put(Family family, std::string key, std::string value) {
        put(family, std::move(key), make_chunk(std::move(value)));
    }
    void drop(Family family, std::string key) { out_.push_back({family, std::move(key), nullptr}); }
    void drop(Family family, KeyRange range) {
        out_.push_back({family, std::move(range.from), nullptr, std::move(range.to)});
    }

    void put_envelope(const Envelope& envelope) {
        put(Family::envelope, envelope_key(envelope.id), encode(envelope));
        put(Family::due, due_key_of(envelope.id, envelope.due_at), encode_due(envelope));
    }
    void put_head(QueueId id, const Chunk& head) {
        PH_ASSERT(head != nullptr);
        put(Family::body, body_key(id, 0), head);
    }
    void put_intent(const Intent& intent) {
        put(Family::meta, intent_key(intent.id, intent.attempt), encode(intent));
    }
    void drop_due(QueueId id, WallTime due) { drop(Family::due, due_key_of(id, due)); }
    void drop_body(QueueId id, std::uint32_t first, std::uint32_t chunk_count) {
        for (std::uint32_t index = first; index <= chunk_count; ++index)
            drop(Family::body, body_key(id, index));
    }

private:
    static std::string due_key_of(QueueId id, WallTime due) {
        return due_key(id.partition(), {.due = due, .id = id});
    }

    std::vector<Write>& out_;
};

}  // namespace posthorse::storage
