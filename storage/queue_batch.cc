#include "storage/queue_batch.h"

#include <utility>

#include "proto/types/assert.h"
#include "storage/batch_writer.h"
#include "storage/overloaded.h"

namespace posthorse::storage {
namespace {

template <class Change>
bool is(const Operation& operation) {
    return std::holds_alternative<Change>(operation.change);
}

// The marker comes with the first chunk and goes with the commit: recovery finds the bodies that
// nobody committed without a look at all the others.
void write_change(const Append& append, BatchWriter& out) {
    PH_ASSERT(append.index >= 1 && append.bytes != nullptr);
    if (append.index == 1) out.put(Family::meta, arriving_key(append.id), std::string{});
    out.put(Family::body, body_key(append.id, append.index), append.bytes);
}

void write_change(const Commit& commit, BatchWriter& out) {
    out.put_head(commit.envelope.id, commit.head);
    out.put_envelope(commit.envelope);
    if (commit.envelope.chunk_count > 0) out.drop(Family::meta, arriving_key(commit.envelope.id));
}

void write_change(const Abort& abort, BatchWriter& out) {
    if (abort.chunk_count == 0) return;
    out.drop_body(abort.id, 1, abort.chunk_count);
    out.drop(Family::meta, arriving_key(abort.id));
}

void write_change(const Intend& intend, BatchWriter& out) {
    out.put_intent(intend.intent);
}

void write_consequences(const Settle& settle, BatchWriter& out) {
    for (const std::uint32_t attempt : settle.ended_attempts)
        out.drop(Family::meta, intent_key(settle.id, attempt));
    for (const NewMessage& notice : settle.notices) {
        out.put_head(notice.envelope.id, notice.head);
        out.put_envelope(notice.envelope);
    }
    for (const AttemptOutcome& outcome : settle.remember)
        out.put(Family::meta, outcome_key(outcome.id, outcome.attempt), encode(outcome));
}

// The old due key goes before the new one comes: they may be the same.
void write_change(const Settle& settle, BatchWriter& out) {
    out.drop_due(settle.id, settle.due_before);
    if (settle.after) {
        PH_ASSERT(settle.after->id == settle.id);
        out.put_envelope(*settle.after);
    } else {
        out.drop(Family::envelope, envelope_key(settle.id));
        out.drop_body(settle.id, 0, settle.chunk_count);
    }
    write_consequences(settle, out);
}

void write_change(const Unremember& unremember, BatchWriter& out) {
    for (const auto& [id, attempt] : unremember.attempts)
        out.drop(Family::meta, outcome_key(id, attempt));
}

void write_end(PartitionId partition, const EndCopy& end, BatchWriter& out) {
    out.drop(Family::meta, intent_range(partition));
    for (const Intent& intent : end.intents) out.put_intent(intent);
}

}  // namespace

void append_writes(const Operation& operation, std::vector<Write>& out) {
    BatchWriter writer(out);
    std::visit(Overloaded{
                   [](const BeginCopy&) {},  // all of it is in the partition's mark
                   [&](const EndCopy& end) { write_end(operation.stamp.partition, end, writer); },
                   [](const Restore&) { PH_ASSERT(false); },
                   [](const Forget&) { PH_ASSERT(false); },
                   [&](const auto& change) { write_change(change, writer); },
               },
               operation.change);
}

void append_consequences(const Settle& settle, std::vector<Write>& out) {
    BatchWriter writer(out);
    write_consequences(settle, writer);
}

void append_mark(PartitionId partition, const PartitionMark& mark, std::vector<Write>& out) {
    BatchWriter(out).put(Family::meta, mark_key(partition), encode(mark));
}

MailAmount amount_of(const Envelope& envelope) {
    return {1, static_cast<std::int64_t>(envelope.size_bytes)};
}

MailAmount mail_gained(const Operation& operation) {
    if (const auto* commit = std::get_if<Commit>(&operation.change))
        return amount_of(commit->envelope);
    const auto* settle = std::get_if<Settle>(&operation.change);
    MailAmount gained;
    if (settle == nullptr) return gained;
    if (!settle->after) gained = {-1, -static_cast<std::int64_t>(settle->size_bytes)};
    for (const NewMessage& notice : settle->notices) gained += amount_of(notice.envelope);
    return gained;
}

bool is_durable(const Operation& operation) {
    return is<Commit>(operation) || is<Settle>(operation) || is<BeginCopy>(operation) ||
           is<EndCopy>(operation);
}

bool is_patient(const Operation& operation) {
    const auto* settle = std::get_if<Settle>(&operation.change);
    return settle != nullptr && settle->patient;
}

bool grows(const Operation& operation) {
    return is<Commit>(operation) || is<Append>(operation) || is<Restore>(operation);
}

bool has_its_place(const Operation& operation) {
    if (is<Append>(operation)) return true;
    const bool copies = is<BeginCopy>(operation) || is<EndCopy>(operation) ||
                        is<Restore>(operation) || is<Forget>(operation) ||
                        is<Unremember>(operation);
    return copies == (operation.stamp.sequence == Sequence{0});
}

std::size_t size_of(const Operation& operation) {
    if (const auto* append = std::get_if<Append>(&operation.change)) return append->bytes->size();
    if (const auto* commit = std::get_if<Commit>(&operation.change)) return commit->head->size();
    if (const auto* restore = std::get_if<Restore>(&operation.change)) return restore->head->size();
    return 0;
}

}  // namespace posthorse::storage
