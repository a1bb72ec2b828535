#include "storage/recovery.h"

#include <string>
#include <utility>
#include <vector>

namespace posthorse::storage {
namespace {

constexpr std::size_t writes_at_once = 10'000;

class Recovery {
public:
    explicit Recovery(KeyValue& disk) : disk_(disk) {}

    Result<Recovered> run() {
        if (Result<void> done = check_format(); !done) return done.error();
        if (Result<void> done = read_meta(); !done) return done.error();
        if (Result<void> done = collect_bodies(); !done) return done.error();
        if (Result<void> done = drop_stale_intents(); !done) return done.error();
        if (Result<void> done = count_messages(); !done) return done.error();
        if (Result<void> done = flush(Sync::yes); !done) return done.error();
        return std::move(found_);
    }

private:
    Result<void> check_format() {
        const Result<std::string> stored = disk_.get(Family::meta, format_key());
        const std::string ours(1, static_cast<char>(store_format));
        if (!stored && stored.error().code != Errc::not_found) return stored.error();
        if (!stored) return put(Family::meta, format_key(), ours);
        if (*stored == ours) return {};
        const int format = stored->empty() ? 0 : (*stored)[0];
        if (format == store_format_read) return put(Family::meta, format_key(), ours);
        return Error{Errc::invalid, "the queue was written in format " + std::to_string(format) +
                                        ", this release reads " +
                                        std::to_string(store_format_read) + " and " +
                                        std::to_string(store_format) +
                                        ": run the release that wrote it, or drain it there"};
    }

    Result<void> read_meta() {
        Result<void> trouble;
        const Result<void> scanned =
            disk_.scan(Family::meta, KeyRange{}, [&](std::string_view key, std::string_view value) {
                trouble = note_meta(key, value);
                return trouble.has_value();
            });
        return trouble ? scanned : trouble;
    }

    Result<void> note_meta(std::string_view key, std::string_view value) {
        const std::optional<MetaKind> kind = meta_kind_of(key);
        if (!kind) return {};
        switch (*kind) {
            case MetaKind::mark:
                return note_mark(*partition_of(key), value);
            case MetaKind::arriving:
                if (const auto id = arriving_id(key)) arriving_.push_back(*id);
                return {};
            case MetaKind::intent:
                if (const auto intent = intent_of(key)) intents_.push_back(*intent);
                return {};
            case MetaKind::set_aside:
                found_.set_aside += 1;
                return {};
            case MetaKind::format:
            case MetaKind::outcome:
            case MetaKind::probe:
                return {};
        }
        return {};
    }

    Result<void> note_mark(PartitionId partition, std::string_view value) {
        const Result<PartitionMark> mark = decode_mark(value);
        if (!mark)
            return Error{Errc::corrupt, "the fence of partition " +
                                            std::to_string(partition.value) +
                                            " cannot be read: " + mark.error().what};
        found_.partitions[partition].mark = *mark;
        return {};
    }

    Result<void> collect_bodies() {
        for (const QueueId id : arriving_) {
            const Result<bool> committed = exists(id);
            if (!committed) return committed.error();
            if (!*committed) {
                if (Result<void> done = drop_body(id); !done) return done.error();
                found_.bodies_collected += 1;
            }
            if (Result<void> done = drop(Family::meta, arriving_key(id)); !done) return done;
        }
        return {};
    }

    Result<void> drop_body(QueueId id) {
        Result<void> dropped;
        const Result<void> scanned =
            disk_.scan(Family::body, body_range(id), [&](std::string_view key, std::string_view) {
                dropped = drop(Family::body, std::string(key));
                return dropped.has_value();
            });
        return dropped ? scanned : dropped;
    }

    Result<void> drop_stale_intents() {
        for (const IntentKey& intent : intents_) {
            const Result<bool> there = is_known(intent.id);
            if (!there) return there.error();
            if (*there) continue;
            Result<void> done = drop(Family::meta, intent_key(intent.id, intent.attempt));
            if (!done) return done;
        }
        return {};
    }

    // Its record is there, or was set aside and may be mended.
    Result<bool> is_known(QueueId id) const {
        const Result<bool> there = exists(id);
        if (!there || *there) return there;
        const Result<std::string> aside =
            disk_.get(Family::meta,
                      set_aside_key(id.partition(), to_char(Family::envelope), envelope_key(id)));
        if (aside) return true;
        return aside.error().code == Errc::io ? Result<bool>(aside.error()) : Result<bool>(false);
    }

    // A record that cannot be read exists.
    Result<bool> exists(QueueId id) const {
        const Result<std::string> record = disk_.get(Family::envelope, envelope_key(id));
        if (record || record.error().code == Errc::corrupt) return true;
        if (record.error().code == Errc::not_found) return false;
        return record.error();
    }

    Result<void> count_messages() {
        std::vector<DuePosition> unsized;
        const Result<void> scanned =
            disk_.scan(Family::due, KeyRange{}, [&](std::string_view key, std::string_view value) {
                if (const auto partition = partition_of(key))
                    found_.partitions[*partition].messages += 1;
                const auto position = due_position(key);
                if (!position) return true;
                const auto size = size_in_due(value);
                if (!size) unsized.push_back(*position);
                found_.partitions[position->id.partition()].bytes += size.value_or(0);
                return true;
            });
        if (scanned) return count_unsized(unsized);
        return scanned.error().code == Errc::corrupt ? rebuild_due_index() : scanned;
    }

    // Their due keys tell it from now on. What cannot be read has no size.
    Result<void> count_unsized(const std::vector<DuePosition>& unsized) {
        for (const DuePosition& position : unsized) {
            const Result<std::string> record =
                disk_.get(Family::envelope, envelope_key(position.id));
            if (!record) continue;
            const Result<Envelope> envelope = decode_envelope(*record);
            if (!envelope) continue;
            const PartitionId partition = position.id.partition();
            found_.partitions[partition].bytes += envelope->size_bytes;
            Result<void> done =
                put(Family::due, due_key(partition, position), encode_due(*envelope));
            if (!done) return done;
        }
        return {};
    }

    // Writes every key that ought to be there over those that may be unreadable. A key that ought
    // not to be there, should one survive, is dropped by the first claim that meets it.
    Result<void> rebuild_due_index() {
        for (auto& [id, partition] : found_.partitions) partition.messages = partition.bytes = 0;
        found_.due_index_rebuilt = true;
        Result<void> written;
        const Result<void> scanned =
            disk_.scan(Family::envelope, KeyRange{}, [&](std::string_view, std::string_view value) {
                const Result<Envelope> envelope = decode_envelope(value);
                if (!envelope) return true;
                const PartitionId partition = envelope->id.partition();
                found_.partitions[partition].messages += 1;
                found_.partitions[partition].bytes += envelope->size_bytes;
                written = put(Family::due,
                              due_key(partition, {.due = envelope->due_at, .id = envelope->id}),
                              encode_due(*envelope));
                return written.has_value();
            });
        return written ? scanned : written;
    }

    Result<void> put(Family family, std::string key, std::string value) {
        return add({family, std::move(key), make_chunk(std::move(value))});
    }
    Result<void> drop(Family family, std::string key) {
        return add({family, std::move(key), nullptr});
    }
    Result<void> add(Write write) {
        writes_.push_back(std::move(write));
        return writes_.size() < writes_at_once ? Result<void>{} : flush(Sync::no);
    }
    Result<void> flush(Sync sync) {
        if (writes_.empty() && sync == Sync::no) return {};
        const Result<void> written = disk_.write(writes_, sync);
        writes_.clear();
        return written;
    }

    KeyValue& disk_;
    Recovered found_;
    std::vector<QueueId> arriving_;
    std::vector<IntentKey> intents_;
    std::vector<Write> writes_;
};

}  // namespace

Result<Recovered> recover(KeyValue& disk) {
    return Recovery(disk).run();
}

}  // namespace posthorse::storage
