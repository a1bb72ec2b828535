#include "storage/queue_batch.h"

#include <utility>

#include "proto/types/assert.h"

namespace posthorse::storage {
namespace {

class Writes {
public:
    explicit Writes(std::vector<Write>& out) : out_(out) {}

    void put(Family family, std::string key, Chunk value) {
        out_.push_back({family, std::move(key), std::move(value)});
    }
    void put(Family family, std::string key, std::string value) {
        put(family, std::move(key), make_chunk(std::move(value)));
    }
    void drop(Family family, std::string key) { out_.push_back({family, std::move(key), nullptr}); }

    void put_envelope(const Envelope& envelope) {
        put(Family::envelope, envelope_key(envelope.id), encode(envelope));
        put(Family::due,
            due_key(envelope.id.partition(), {.due = envelope.due_at, .id = envelope.id}),
            std::string{});
    }
    void put_message(const Envelope& envelope, const Chunk& head) {
        PH_ASSERT(head != nullptr);
        put(Family::body, body_key(envelope.id, 0), head);
        put_envelope(envelope);
    }
    void drop_body(QueueId id, std::uint32_t first, std::uint32_t chunk_count) {
        for (std::uint32_t index = first; index <= chunk_count; ++index)
            drop(Family::body, body_key(id, index));
    }

private:
    std::vector<Write>& out_;
};

// The marker comes with the first chunk and goes with the commit: recovery finds the bodies that
// nobody committed without a look at all the others.
void write_change(const Append& append, Writes& out) {
    PH_ASSERT(append.index >= 1 && append.bytes != nullptr);
    if (append.index == 1) out.put(Family::meta, arriving_key(append.id), std::string{});
    out.put(Family::body, body_key(append.id, append.index), append.bytes);
}

void write_change(const Commit& commit, Writes& out) {
    out.put_message(commit.envelope, commit.head);
    if (commit.envelope.chunk_count > 0) out.drop(Family::meta, arriving_key(commit.envelope.id));
}

void write_change(const Abort& abort, Writes& out) {
    if (abort.chunk_count == 0) return;
    out.drop_body(abort.id, 1, abort.chunk_count);
    out.drop(Family::meta, arriving_key(abort.id));
}

void write_change(const Intend& intend, Writes& out) {
    out.put(Family::meta, intent_key(intend.intent.id, intend.intent.attempt),
            encode(intend.intent));
}

// The old due key goes before the new one comes: they may be the same.
void write_change(const Settle& settle, Writes& out) {
    out.drop(Family::due,
             due_key(settle.id.partition(), {.due = settle.due_before, .id = settle.id}));
    if (settle.after) {
        PH_ASSERT(settle.after->id == settle.id);
        out.put_envelope(*settle.after);
    } else {
        out.drop(Family::envelope, envelope_key(settle.id));
        out.drop_body(settle.id, 0, settle.chunk_count);
    }
    for (const std::uint32_t attempt : settle.ended_attempts)
        out.drop(Family::meta, intent_key(settle.id, attempt));
    for (const NewMessage& notice : settle.notices) out.put_message(notice.envelope, notice.head);
}

}  // namespace

void append_writes(const Operation& operation, std::vector<Write>& out) {
    Writes writes(out);
    std::visit([&](const auto& change) { write_change(change, writes); }, operation.change);
}

void append_mark(PartitionId partition, const PartitionMark& mark, std::vector<Write>& out) {
    Writes(out).put(Family::meta, mark_key(partition), encode(mark));
}

bool is_durable(const Operation& operation) {
    return std::holds_alternative<Commit>(operation.change) ||
           std::holds_alternative<Settle>(operation.change);
}

bool grows(const Operation& operation) {
    return std::holds_alternative<Commit>(operation.change) ||
           std::holds_alternative<Append>(operation.change);
}

std::size_t size_of(const Operation& operation) {
    if (const auto* append = std::get_if<Append>(&operation.change)) return append->bytes->size();
    if (const auto* commit = std::get_if<Commit>(&operation.change)) return commit->head->size();
    return 0;
}

}  // namespace posthorse::storage
