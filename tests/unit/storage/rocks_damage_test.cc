// What RocksDB's files look like after flipped bits and cuts, and what the store makes of them:
// never a silent loss.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <functional>

#include "tests/unit/storage/log_octets.h"
#include "tests/unit/storage/rocks_files.h"

using namespace posthorse;
using namespace posthorse::storage;

namespace {

constexpr std::uint32_t message_count = 200;

void flip_bit(const std::filesystem::path& file, std::uintmax_t at) {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekg(static_cast<std::streamoff>(at));
    const char byte = static_cast<char>(bytes.get() ^ 0x10);
    bytes.seekp(static_cast<std::streamoff>(at));
    bytes.put(byte);
    REQUIRE(bytes.good());
}

void fill(Session<RocksRig>& queue) {
    for (std::uint32_t counter = 0; counter < message_count; ++counter) queue.commit(counter);
}

}  // namespace

TEST_CASE("a bit flipped in the middle of the log is refused, not read past") {
    Session<RocksRig> queue;
    fill(queue);
    queue.rig.stop();
    const auto logs = files(queue.rig, ".log");
    REQUIRE(logs.size() == 1);
    flip_bit(logs[0], log_octets(logs[0]) / 2);
    const Result<void> opened = queue.rig.open();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == Errc::corrupt);
    CHECK(opened.error().what.find(queue.rig.path().string()) != std::string::npos);
    CHECK(opened.error().what.find("Restore") != std::string::npos);
}

TEST_CASE("a torn end of the log costs the torn operation only") {
    Session<RocksRig> queue;
    fill(queue);
    queue.rig.stop();
    const auto logs = files(queue.rig, ".log");
    REQUIRE(logs.size() == 1);
    // The last page only tells that the one before was synced: a process that ends so wrote none.
    std::filesystem::resize_file(logs[0], log_octets(logs[0]) - log_page_bytes - 3);
    REQUIRE(queue.rig.open());
    CHECK(ids_of(queue.list()).size() == message_count - 1);
}

TEST_CASE("a bit flipped in what was synced last is refused, too, if the process ended in order") {
    Session<RocksRig> queue;
    fill(queue);
    queue.rig.stop();
    const auto logs = files(queue.rig, ".log");
    flip_bit(logs[0], log_octets(logs[0]) - 2 * log_page_bytes + log_page_head_bytes);
    const Result<void> opened = queue.rig.open();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == Errc::corrupt);
}

TEST_CASE("damage in a table is seen, and what can be read goes on") {
    Session<RocksRig> queue;
    fill(queue);
    queue.reopen();  // replaying the log writes tables
    queue.rig.stop();
    const auto tables = files(queue.rig, ".sst");
    REQUIRE(tables.size() >= 3);
    for (const std::filesystem::path& table : tables) {
        flip_bit(table, std::filesystem::file_size(table) / 4);
        const Result<void> opened = queue.rig.open();
        if (opened) {
            // Every message is listed, or the damage was told.
            const auto listed = queue.list();
            // A reader asks the writer to mend: what is behind that in its queue is answered later.
            static_cast<void>(queue.fence(PartitionId{99}, Epoch{1}));
            const bool told =
                !listed || !queue.rig.reports.empty() || queue.store().stats().set_aside > 0;
            CHECK((told || listed->size() == message_count));
            for (std::uint32_t counter = 0; counter < message_count; ++counter) {
                const auto head = queue.chunk(sample_id(counter), 0);
                CHECK((head ? *head == "head " + std::to_string(counter)
                            : head.error().code != Errc::not_found));
            }
        } else {
            CHECK(opened.error().code == Errc::corrupt);
        }
        queue.rig.stop();
        flip_bit(table, std::filesystem::file_size(table) / 4);
        queue.rig.reports.clear();
    }
}

TEST_CASE("a damaged body that compaction meets does not stop the store") {
    Session<RocksRig> queue;
    constexpr std::uint32_t kept = 8;
    const std::string body(200'000, 'b');
    for (std::uint32_t counter = 0; counter < kept; ++counter)
        REQUIRE(queue.write(Commit{sample_envelope(sample_id(counter)), make_chunk(body)}));
    queue.reopen();  // replaying the log writes tables
    queue.rig.stop();
    const auto bodies = files(queue.rig, ".blob");
    REQUIRE(bodies.size() == 1);
    flip_bit(bodies[0], std::filesystem::file_size(bodies[0]) / 2);
    REQUIRE(queue.rig.open());

    // Mail comes, and most of it goes, that beside the damaged body too, until compaction collects
    // the oldest file.
    for (const std::uint32_t gone : {0u, 1u, 6u, 7u})
        REQUIRE(queue.write(Settle{.id = sample_id(gone)}));
    std::uint32_t counter = kept;
    while (queue.rig.reports.empty() && queue.store().healthy() && counter < 2000) {
        for (std::uint32_t one = 0; one < 10; ++one) {
            const QueueId id = sample_id(counter + one);
            REQUIRE(queue.write(Commit{sample_envelope(id), make_chunk(body)}));
        }
        for (std::uint32_t one = 1; one < 10; ++one)
            REQUIRE(queue.write(Settle{.id = sample_id(counter + one)}));
        counter += 10;
    }
    REQUIRE(queue.rig.reports.size() == 1);
    CHECK(queue.rig.reports[0].find("damaged") != std::string::npos);
    CHECK(queue.store().healthy());
    REQUIRE(queue.write(Commit{sample_envelope(sample_id(5000)), make_chunk(body)}));

    std::uint32_t damaged = 0;
    for (std::uint32_t one = 2; one < 6; ++one) {
        const auto read = queue.chunk(sample_id(one), 0);
        if (!read) damaged += read.error().code == Errc::corrupt;
        CHECK((!read || *read == body));
    }
    CHECK(damaged == 1);
}

TEST_CASE("a lost manifest is refused") {
    Session<RocksRig> queue;
    fill(queue);
    queue.rig.stop();
    std::filesystem::resize_file(queue.rig.path() / "CURRENT", 0);
    const Result<void> opened = queue.rig.open();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == Errc::corrupt);
}

TEST_CASE("a directory that is in use is told as such") {
    RocksRig rig;
    REQUIRE(rig.open());
    const auto second = open_rocks_store(rig.settings());
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::unavailable);
}

TEST_CASE("a write that fails is an error for ever, whichever write it is") {
    for (std::uint64_t nth = 0; nth < 12; ++nth) {
        Session<RocksRig> queue;
        queue.rig.disk().fail(LosingFileSystem::Operation::append, nth,
                              rocksdb::IOStatus::NoSpace("test: ENOSPC"));
        std::uint32_t counter = 0;
        std::vector<QueueId> acknowledged;
        while (counter < 20) {
            const QueueId id = sample_id(++counter);
            if (!queue.write(Commit{sample_envelope(id), make_chunk("x")})) break;
            acknowledged.push_back(id);
        }
        REQUIRE(counter < 20);
        CHECK_FALSE(queue.store().healthy());
        CHECK(error_of(queue.write(Commit{sample_envelope(sample_id(99)), make_chunk("x")})) ==
              Errc::io);
        queue.lose_power();
        const std::vector<QueueId> listed = ids_of(queue.list());
        CHECK(std::ranges::includes(listed, acknowledged));
    }
}
