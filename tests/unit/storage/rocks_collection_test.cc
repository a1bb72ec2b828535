// When RocksDB's compaction writes bodies anew, and when it leaves them where they are.
#include <doctest/doctest.h>

#include <algorithm>

#include "storage/body_collection.h"
#include "tests/unit/storage/rocks_files.h"

using namespace posthorse;
using namespace posthorse::storage;

namespace {

const std::string body(200'000, 'b');

QueueId commit(Session<RocksRig>& queue, std::uint32_t counter) {
    const QueueId id = sample_id(counter);
    REQUIRE(queue.write(Commit{sample_envelope(id), make_chunk(body)}));
    return id;
}

// Ten come, which fills a write buffer, and all but `kept` of them go.
void come_and_go(Session<RocksRig>& queue, std::uint32_t& counter, std::size_t kept) {
    std::vector<QueueId> ids;
    while (ids.size() < 10) ids.push_back(commit(queue, ++counter));
    for (const QueueId id : std::span(ids).subspan(kept)) REQUIRE(queue.write(Settle{.id = id}));
}

std::uintmax_t octets(const std::vector<std::filesystem::path>& files) {
    std::uintmax_t sum = 0;
    for (const auto& file : files) sum += std::filesystem::file_size(file);
    return sum;
}

}  // namespace

TEST_CASE("bodies are collected from when half is garbage until a quarter is, if it is worth it") {
    constexpr std::uint64_t worth = 100;
    CHECK_FALSE(should_collect(false, {.bytes = 1000, .garbage_bytes = 499}, worth));
    CHECK(should_collect(false, {.bytes = 1000, .garbage_bytes = 500}, worth));
    CHECK(should_collect(true, {.bytes = 1000, .garbage_bytes = 250}, worth));
    CHECK_FALSE(should_collect(true, {.bytes = 1000, .garbage_bytes = 249}, worth));
    CHECK_FALSE(should_collect(false, {.bytes = 100, .garbage_bytes = 99}, worth));
    CHECK_FALSE(should_collect(true, {.bytes = 100, .garbage_bytes = 99}, worth));
    CHECK_FALSE(should_collect(false, {}, worth));
}

TEST_CASE("mail that waits is not written anew for mail that comes and goes") {
    Session<RocksRig> queue;
    std::uint32_t counter = 0;
    while (counter < 40) commit(queue, ++counter);
    queue.reopen();  // replaying the log writes what is in memory still
    queue.rig.stop();
    const auto waiting = files(queue.rig, ".blob");
    REQUIRE(octets(waiting) >= 40 * body.size());
    REQUIRE(queue.rig.open());
    // One of each file goes, too: so compaction meets the others of it.
    for (std::uint32_t gone = 5; gone < 40; gone += 10)
        REQUIRE(queue.write(Settle{.id = sample_id(gone)}));
    for (int rounds = 0; rounds < 30; ++rounds) come_and_go(queue, counter, 0);
    queue.rig.stop();
    CHECK(std::ranges::includes(files(queue.rig, ".blob"), waiting));
}

TEST_CASE("the room of mail that went comes back, though some of each file stays") {
    Session<RocksRig> queue;
    std::uint32_t counter = 0;
    for (int rounds = 0; rounds < 60; ++rounds) come_and_go(queue, counter, 1);
    CHECK(ids_of(queue.list()).size() == 60);
    queue.rig.stop();
    CHECK(octets(files(queue.rig, ".blob")) < 5 * 60 * body.size());
}
