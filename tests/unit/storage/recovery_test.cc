#include "storage/recovery.h"

#include <doctest/doctest.h>

#include "storage/big_endian.h"
#include "storage/crc32c.h"
#include "storage/memory_store.h"
#include "storage/queue_batch.h"
#include "tests/unit/storage/print_result.h"
#include "tests/unit/storage/samples.h"

using namespace posthorse;
using namespace posthorse::storage;

namespace {

void write(MemoryDisk& disk, std::vector<Write> writes) {
    REQUIRE(disk.write(writes, Sync::yes));
}

void commit(MemoryDisk& disk, const Envelope& envelope) {
    std::vector<Write> writes;
    append_writes({.stamp = {}, .change = Commit{envelope, make_chunk("head")}}, writes);
    write(disk, std::move(writes));
}

Write format_of(char format) {
    return {Family::meta, format_key(), make_chunk(std::string(1, format))};
}

// As the first format had it.
Write old_mark(PartitionId partition, Epoch fence, Sequence last) {
    std::string payload;
    append_big_endian(payload, fence.value);
    append_big_endian(payload, last.value);
    std::string record(1, static_cast<char>(record_format));
    append_big_endian(record, crc32c(payload));
    return {Family::meta, mark_key(partition), make_chunk(record + payload)};
}

}  // namespace

TEST_CASE("an empty directory becomes a store of this format") {
    MemoryDisk disk;
    REQUIRE(recover(disk));
    CHECK(*disk.get(Family::meta, format_key()) == std::string(1, char(store_format)));
    CHECK(disk.is_synced(Family::meta, format_key()));
}

TEST_CASE("a store of the first format is read, and is one of this format then") {
    MemoryDisk disk;
    write(disk, {format_of(1), old_mark(partition_a, Epoch{5}, Sequence{9})});
    commit(disk, sample_envelope(sample_id(1)));
    for (int start = 0; start < 2; ++start) {
        const auto found = recover(disk);
        REQUIRE(found);
        const auto& partition = found->partitions.at(partition_a);
        CHECK(partition.mark.fence == Epoch{5});
        CHECK(partition.mark.position() == Position{Epoch{5}, Sequence{9}});
        CHECK(partition.messages == 1);
        CHECK(*disk.get(Family::meta, format_key()) == std::string(1, char(store_format)));
    }
}

TEST_CASE(
    "octets are counted by the due index; of an older release's messages they are written "
    "there at the first start") {
    MemoryDisk disk;
    const Envelope old = sample_envelope(sample_id(1));
    Envelope fresh = sample_envelope(sample_id(2));
    fresh.size_bytes = 7;
    commit(disk, old);
    commit(disk, fresh);
    const std::string key = due_key(partition_a, {.due = old.due_at, .id = old.id});
    write(disk, {{Family::due, key, make_chunk({})}});
    for (int start = 0; start < 2; ++start) {
        const auto found = recover(disk);
        REQUIRE(found);
        CHECK(found->partitions.at(partition_a).messages == 2);
        CHECK(found->partitions.at(partition_a).bytes == old.size_bytes + 7);
        CHECK(*disk.get(Family::due, key) == encode_due(old));
    }
}

TEST_CASE("a store of a later format is refused and left as it is") {
    MemoryDisk disk;
    write(disk, {format_of(store_format + 1)});
    const auto found = recover(disk);
    REQUIRE_FALSE(found);
    CHECK(found.error().code == Errc::invalid);
    CHECK(found.error().what.find("format 3") != std::string::npos);
    CHECK((*disk.get(Family::meta, format_key()))[0] == store_format + 1);
}

TEST_CASE("a fence that cannot be read is refused") {
    MemoryDisk disk;
    write(disk, {{Family::meta, mark_key(partition_a), make_chunk("nonsense")}});
    const auto found = recover(disk);
    REQUIRE_FALSE(found);
    CHECK(found.error().code == Errc::corrupt);
}

TEST_CASE("outcomes stay, also of messages that are gone; their intents do not") {
    MemoryDisk disk;
    const QueueId gone = sample_id(1);
    write(
        disk,
        {{Family::meta, outcome_key(gone, 7), make_chunk(encode(AttemptOutcome{gone, 7, {}}))},
         {Family::meta, intent_key(gone, 7), make_chunk(encode(Intent{gone, 7, {}, {}, {}, {}}))}});
    REQUIRE(recover(disk));
    CHECK(disk.get(Family::meta, outcome_key(gone, 7)));
    CHECK_FALSE(disk.get(Family::meta, intent_key(gone, 7)));
}

TEST_CASE("each partition has its own count and its own standing") {
    MemoryDisk disk;
    commit(disk, sample_envelope(sample_id(1)));
    commit(disk, sample_envelope(sample_id(2)));
    commit(disk, sample_envelope(sample_id(1, partition_b)));
    const PartitionMark whole{Epoch{2}, {Epoch{1}, Sequence{4}}, std::nullopt};
    const PartitionMark copying{Epoch{3}, {Epoch{3}, Sequence{9}}, Position{Epoch{2}, Sequence{1}}};
    std::vector<Write> writes;
    append_mark(partition_a, whole, writes);
    append_mark(partition_b, copying, writes);
    write(disk, std::move(writes));
    const auto found = recover(disk);
    REQUIRE(found);
    CHECK(found->partitions.at(partition_a).messages == 2);
    CHECK(found->partitions.at(partition_a).mark == whole);
    CHECK(found->partitions.at(partition_b).messages == 1);
    CHECK(found->partitions.at(partition_b).mark == copying);
}
