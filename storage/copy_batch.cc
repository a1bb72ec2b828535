#include "storage/copy_batch.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "proto/types/assert.h"
#include "storage/batch_writer.h"
#include "storage/overloaded.h"
#include "storage/queue_batch.h"

namespace posthorse::storage {
namespace {

// What the copy holds of a message.
struct Present {
    std::optional<Envelope> envelope;  // when it can be read
    bool counted = false;
    bool set_aside = false;
};

std::string aside_key(QueueId id) {
    return set_aside_key(id.partition(), to_char(Family::envelope), envelope_key(id));
}

class CopyBatch {
public:
    CopyBatch(const KeyValue& disk, std::vector<Write>& out)
        : disk_(disk), batch_(out), writer_(out) {}

    Result<Effect> add(const Operation& operation) {
        const Result<void> added =
            std::visit(Overloaded{
                           [&](const Commit& commit) { return add_commit(operation, commit); },
                           [&](const Settle& settle) { return add_settle(operation, settle); },
                           [&](const Restore& restore) { return add_restore(restore); },
                           [&](const Forget& forget) { return add_forget(forget); },
                           [](const auto&) -> Result<void> { PH_ASSERT(false); },
                       },
                       operation.change);
        if (!added) return added.error();
        return effect_;
    }

private:
    Result<void> add_commit(const Operation& operation, const Commit& commit) {
        const Result<Present> present = look(commit.envelope.id);
        if (!present) return present.error();
        displace(commit.envelope.id, *present, &commit.envelope);
        append_writes(operation, batch_);
        return {};
    }

    // Of a message that is not here no record is made: its body would be missing.
    Result<void> add_settle(const Operation& operation, const Settle& settle) {
        const Result<Present> present = look(settle.id);
        if (!present) return present.error();
        const bool stays_away = settle.after && !present->envelope;
        if (!stays_away) displace(settle.id, *present, settle.after ? &*settle.after : nullptr);
        // Its body may have come already, and its record will not.
        if (!settle.after) writer_.drop(Family::meta, arriving_key(settle.id));
        for (const NewMessage& notice : settle.notices) {
            const Result<Present> known = look(notice.envelope.id);
            if (!known) return known.error();
            displace(notice.envelope.id, *known, &notice.envelope);
        }
        effect_.record_written = !stays_away;
        if (stays_away)
            append_consequences(settle, batch_);
        else
            append_writes(operation, batch_);
        return {};
    }

    Result<void> add_restore(const Restore& restore) {
        const Envelope& envelope = restore.envelope;
        const Result<Present> present = look(envelope.id);
        if (!present) return present.error();
        writer_.put_head(envelope.id, restore.head);
        if (envelope.chunk_count > 0) writer_.drop(Family::meta, arriving_key(envelope.id));
        effect_.record_written = !restore.body_only;
        if (!effect_.record_written) return {};
        displace(envelope.id, *present, &envelope);
        writer_.put_envelope(envelope);
        return {};
    }

    Result<void> add_forget(const Forget& forget) {
        const Result<Present> present = look(forget.id);
        if (!present) return present.error();
        displace(forget.id, *present, nullptr);
        writer_.drop(Family::envelope, envelope_key(forget.id));
        // Many range deletions would slow the reads down, so a body of known length goes by key.
        if (present->envelope)
            writer_.drop_body(forget.id, 0, present->envelope->chunk_count);
        else
            writer_.drop(Family::body, body_range(forget.id));
        writer_.drop(Family::meta, arriving_key(forget.id));
        return drop_intents(forget.id);
    }

    // A record that is not there, or cannot be read, has no due key that is known. One that is left
    // behind is dropped by the claim that meets it.
    Result<Present> look(QueueId id) const {
        Present present;
        const Result<std::string> record = disk_.get(Family::envelope, envelope_key(id));
        if (record) {
            Result<Envelope> envelope = decode_envelope(*record);
            if (envelope && envelope->id == id) present.envelope = *std::move(envelope);
        } else if (record.error().code == Errc::io) {
            return record.error();
        }
        present.counted = present.envelope.has_value();
        if (present.counted) return present;
        const Result<std::string> aside = disk_.get(Family::meta, aside_key(id));
        present.set_aside = aside.has_value();
        const bool unreadable = record || record.error().code == Errc::corrupt;
        present.counted = unreadable && !present.set_aside;
        return present;
    }

    // `after`: what comes in its place, or null. The size of what cannot be read is not known.
    void displace(QueueId id, const Present& present, const Envelope* after) {
        if (present.envelope) {
            writer_.drop_due(id, present.envelope->due_at);
            effect_.mail.bytes -= static_cast<std::int64_t>(present.envelope->size_bytes);
        }
        if (present.set_aside) {
            writer_.drop(Family::meta, aside_key(id));
            effect_.set_aside -= 1;
        }
        if (after != nullptr) effect_.mail += amount_of(*after);
        if (present.counted) effect_.mail.messages -= 1;
    }

    // Intents that damage hides are not told either, when their message is gone.
    Result<void> drop_intents(QueueId id) {
        const Result<void> scanned =
            disk_.scan(Family::meta, intent_range(id), [&](std::string_view key, std::string_view) {
                writer_.drop(Family::meta, std::string(key));
                return true;
            });
        if (!scanned && scanned.error().code == Errc::io) return scanned;
        return {};
    }

    const KeyValue& disk_;
    std::vector<Write>& batch_;
    BatchWriter writer_;
    Effect effect_;
};

}  // namespace

bool looks(const Operation& operation, bool copying) {
    return std::visit(Overloaded{
                          [&](const Commit&) { return copying; },
                          [&](const Settle&) { return copying; },
                          [](const Restore&) { return true; },
                          [](const Forget&) { return true; },
                          [](const auto&) { return false; },
                      },
                      operation.change);
}

Result<Effect> append_looked(const KeyValue& disk,
                             const Operation& operation,
                             std::vector<Write>& out) {
    const std::size_t before = out.size();
    Result<Effect> effect = CopyBatch(disk, out).add(operation);
    if (!effect) out.resize(before);
    return effect;
}

void RoundNames::add(const Operation& operation) {
    std::visit(Overloaded{
                   [&](const Append& append) { bodies_.insert(append.id); },
                   [&](const Abort& abort) { bodies_.insert(abort.id); },
                   [&](const Commit& commit) { records_.insert(commit.envelope.id); },
                   [&](const Intend& intend) { records_.insert(intend.intent.id); },
                   [&](const Settle& settle) {
                       records_.insert(settle.id);
                       for (const NewMessage& notice : settle.notices)
                           records_.insert(notice.envelope.id);
                   },
                   [&](const Restore& restore) { records_.insert(restore.envelope.id); },
                   [&](const Forget& forget) { records_.insert(forget.id); },
                   [](const auto&) {},
               },
               operation.change);
}

bool RoundNames::collides(const Operation& operation, bool copying) const {
    if (!looks(operation, copying)) return false;
    return std::visit(
        Overloaded{
            [&](const Commit& commit) { return records_.contains(commit.envelope.id); },
            [&](const Settle& settle) {
                return records_.contains(settle.id) ||
                       std::ranges::any_of(settle.notices, [&](const NewMessage& notice) {
                           return records_.contains(notice.envelope.id);
                       });
            },
            [&](const Restore& restore) { return records_.contains(restore.envelope.id); },
            [&](const Forget& forget) {
                return records_.contains(forget.id) || bodies_.contains(forget.id);
            },
            [](const auto&) { return false; },
        },
        operation.change);
}

}  // namespace posthorse::storage
