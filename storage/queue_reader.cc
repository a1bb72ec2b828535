#include "storage/queue_reader.h"

#include <algorithm>
#include <utility>

#include "storage/queue_record.h"

namespace posthorse::storage {
namespace {

Error not_found(QueueId id) {
    return {Errc::not_found, "no message " + id.to_string() + " in this queue"};
}

Error due_index_corrupt(const Error& error) {
    return {Errc::corrupt, "the due index cannot be read (" + error.what +
                               "): restart the node, it is made anew from the envelopes"};
}

}  // namespace

QueueReader::QueueReader(const KeyValue& disk, ClaimTable& claims, Mender mend)
    : disk_(disk), claims_(claims), mend_(std::move(mend)) {}

std::optional<Error> QueueReader::refuse_fenced(PartitionId partition, Epoch epoch) const {
    const Epoch fence = claims_.fence_of(partition);
    if (epoch >= fence) return std::nullopt;
    return Error{Errc::fenced, "partition " + std::to_string(partition.value) + " is at epoch " +
                                   std::to_string(fence.value)};
}

Result<std::vector<Envelope>> QueueReader::claim(PartitionId partition,
                                                 Epoch epoch,
                                                 WallTime until,
                                                 std::size_t limit) {
    if (const auto refusal = refuse_fenced(partition, epoch)) return *refusal;
    std::vector<DuePosition> candidates;
    if (limit == 0) return std::vector<Envelope>{};

    const DuePosition from = claims_.begin_scan(partition);
    DuePosition reached = std::max(from, {.due = until + std::chrono::milliseconds{1}, .id = {}});
    const Result<void> scanned =
        disk_.scan(Family::due, due_range(partition, from, until), [&](std::string_view key, auto) {
            const std::optional<DuePosition> position = due_position(key);
            if (!position || !claims_.try_claim(position->id, epoch, position->due)) return true;
            candidates.push_back(*position);
            if (candidates.size() < limit) return true;
            reached = *position;
            return false;
        });
    claims_.end_scan(partition, scanned ? reached : from);
    if (!scanned) {
        for (const DuePosition& candidate : candidates) claims_.release(candidate.id);
        return due_index_corrupt(scanned.error());
    }

    std::vector<Envelope> claimed;
    claimed.reserve(candidates.size());
    for (const DuePosition& candidate : candidates)
        if (std::optional<Envelope> envelope = take(candidate))
            claimed.push_back(*std::move(envelope));
    return claimed;
}

// Nothing is given when the message changed between its due key and its record: a later claim
// finds it at its new place.
std::optional<Envelope> QueueReader::take(const DuePosition& candidate) {
    Result<Envelope> envelope = read(candidate.id);
    if (!envelope || envelope->due_at != candidate.due) {
        claims_.release(candidate.id);
        mend_({.id = candidate.id, .due = candidate.due});
        return std::nullopt;
    }
    if (!claims_.confirm(*envelope)) return std::nullopt;
    return *std::move(envelope);
}

Result<Envelope> QueueReader::claim_one(Epoch epoch, QueueId id) {
    if (const auto refusal = refuse_fenced(id.partition(), epoch)) return *refusal;
    const Error conflict{Errc::conflict, "message " + id.to_string() + " is being worked on"};
    if (!claims_.try_claim(id, epoch, never)) return conflict;
    Result<Envelope> found = envelope(id);
    if (!found) {
        claims_.gone(id);
        return found;
    }
    if (!claims_.confirm(*found)) return conflict;
    return found;
}

Result<WallTime> QueueReader::next_due(PartitionId partition) {
    const DuePosition from = claims_.begin_scan(partition);
    DuePosition next = {.due = never, .id = {}};
    const Result<void> scanned =
        disk_.scan(Family::due, due_range(partition, from, never), [&](std::string_view key, auto) {
            const std::optional<DuePosition> position = due_position(key);
            if (!position || !claims_.is_free(position->id)) return true;
            next = *position;
            return false;
        });
    claims_.end_scan(partition, scanned ? std::max(from, next) : from);
    if (!scanned) return due_index_corrupt(scanned.error());
    return next.due;
}

Result<Envelope> QueueReader::read(QueueId id) const {
    const Result<std::string> record = disk_.get(Family::envelope, envelope_key(id));
    if (!record) return record.error().code == Errc::not_found ? not_found(id) : record.error();
    Result<Envelope> envelope = decode_envelope(*record);
    if (envelope && envelope->id != id)
        return Error{Errc::corrupt, "the record of " + id.to_string() + " names another message"};
    return envelope;
}

Result<Envelope> QueueReader::envelope(QueueId id) const {
    Result<Envelope> found = read(id);
    if (!found && found.error().code == Errc::corrupt) mend_({.id = id, .due = std::nullopt});
    return found;
}

Result<Chunk> QueueReader::chunk(QueueId id, std::uint32_t index) const {
    Result<std::string> bytes = disk_.get(Family::body, body_key(id, index));
    if (bytes) return make_chunk(*std::move(bytes));
    const std::string which = "chunk " + std::to_string(index) + " of message " + id.to_string();
    if (bytes.error().code == Errc::not_found)
        return Error{Errc::not_found, "there is no " + which};
    return Error{bytes.error().code, which + ": " + bytes.error().what};
}

Result<std::vector<Envelope>> QueueReader::list(PartitionId partition,
                                                QueueId after,
                                                std::size_t limit) const {
    std::vector<Envelope> listed;
    if (limit == 0) return listed;
    const Result<void> scanned = disk_.scan(Family::envelope, envelopes_after(partition, after),
                                            [&](std::string_view key, std::string_view record) {
                                                const std::optional<QueueId> id = envelope_id(key);
                                                Result<Envelope> envelope = decode_envelope(record);
                                                if (envelope && id == envelope->id)
                                                    listed.push_back(*std::move(envelope));
                                                else if (id)
                                                    mend_({.id = *id, .due = std::nullopt});
                                                return listed.size() < limit;
                                            });
    if (scanned) return listed;
    if (scanned.error().code != Errc::corrupt) return scanned.error();
    return list_by_due_index(partition, after, limit);
}

// The slow way, around damage inside the database: each message by itself.
Result<std::vector<Envelope>> QueueReader::list_by_due_index(PartitionId partition,
                                                             QueueId after,
                                                             std::size_t limit) const {
    std::vector<QueueId> ids;
    const Result<void> scanned =
        disk_.scan(Family::due, partition_range(partition), [&](std::string_view key, auto) {
            const std::optional<DuePosition> position = due_position(key);
            if (position && position->id > after) ids.push_back(position->id);
            return true;
        });
    if (!scanned) return due_index_corrupt(scanned.error());
    std::ranges::sort(ids);
    std::vector<Envelope> listed;
    for (const QueueId id : ids) {
        if (listed.size() == limit) break;
        if (Result<Envelope> found = envelope(id)) listed.push_back(*std::move(found));
    }
    return listed;
}

Result<SummaryStep> QueueReader::summarize(PartitionId partition,
                                           SummaryStep from,
                                           std::size_t limit,
                                           WallTime now) const {
    SummaryStep step = std::move(from);
    step.at_end = true;
    Waiting waiting;
    std::size_t counted = 0;
    const auto count = [&](std::string_view key, std::string_view value) {
        const std::optional<DuePosition> position = due_position(key);
        if (!position || *position == step.to) return true;
        if (counted == limit || !step.summary.has_room()) return step.at_end = false;
        counted += 1;
        step.to = *position;
        if (read_waiting(value, waiting))
            step.summary.add(waiting.accepted_at, waiting.domains, now);
        else if (const Result<Envelope> found = envelope(position->id))
            step.summary.add(*found, now);
        return true;
    };
    const Result<void> scanned =
        disk_.scan(Family::due, due_range(partition, step.to, never), count);
    if (!scanned) return due_index_corrupt(scanned.error());
    return step;
}

Result<std::vector<QueueId>> QueueReader::damaged(PartitionId partition) const {
    std::vector<QueueId> found;
    const Result<void> scanned = disk_.scan(Family::meta, set_aside_range(partition),
                                            [&](std::string_view key, std::string_view) {
                                                if (const auto id = set_aside_id(key))
                                                    found.push_back(*id);
                                                return true;
                                            });
    if (!scanned) return scanned.error();
    return found;
}

Result<std::vector<Intent>> QueueReader::intents(PartitionId partition) const {
    std::vector<Intent> found;
    const Result<void> scanned = disk_.scan(Family::meta, intent_range(partition),
                                            [&](std::string_view, std::string_view record) {
                                                if (Result<Intent> intent = decode_intent(record))
                                                    found.push_back(*std::move(intent));
                                                return true;
                                            });
    if (!scanned) return scanned.error();
    // What was set aside may be mended: its attempts are open still.
    const auto lacks = [&](Family family, const std::string& key) {
        const Result<std::string> record = disk_.get(family, key);
        return !record && record.error().code == Errc::not_found;
    };
    std::erase_if(found, [&](const Intent& intent) {
        const std::string key = envelope_key(intent.id);
        return lacks(Family::envelope, key) &&
               lacks(Family::meta, set_aside_key(partition, to_char(Family::envelope), key));
    });
    return found;
}

Result<std::vector<RecipientOutcome>> QueueReader::outcome(QueueId id,
                                                           std::uint32_t attempt) const {
    const Result<std::string> record = disk_.get(Family::meta, outcome_key(id, attempt));
    if (!record && record.error().code == Errc::not_found)
        return Error{Errc::not_found, "no outcome of attempt " + std::to_string(attempt) +
                                          " at message " + id.to_string() + " is known here"};
    if (!record) return record.error();
    Result<AttemptOutcome> outcome = decode_outcome(*record);
    if (!outcome) return outcome.error();
    return std::move(outcome->outcomes);
}

}  // namespace posthorse::storage
