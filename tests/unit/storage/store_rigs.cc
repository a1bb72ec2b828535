#include "tests/unit/storage/store_rigs.h"

#include <doctest/doctest.h>
#include <rocksdb/db.h>
#include <stdlib.h>

#include <utility>

#include "storage/queue_key.h"
#include "storage/rocks_log_files.h"

namespace posthorse::storage {

Result<void> MemoryRig::open() {
    Result<std::unique_ptr<QueueStore>> opened = open_memory_store(
        disk_, loop, loop,
        {.disk_floor_bytes = test_floor_bytes,
         .report = [this](std::string what) { reports.push_back(std::move(what)); }});
    if (!opened) return opened.error();
    store = *std::move(opened);
    return {};
}

void MemoryRig::stop() {
    store.reset();
    loop.run_all();
}

void MemoryRig::lose_power(std::uint64_t random) {
    stop();
    disk_.crash(random % (disk_.unsynced_writes() + 1));
}

void MemoryRig::damage_envelope(QueueId id) {
    disk_.damage({Family::envelope, envelope_key(id), make_chunk("nonsense")});
}

TemporaryDirectory::TemporaryDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "posthorse-test-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

RocksRig::RocksRig() = default;

RocksSettings RocksRig::settings() {
    RocksSettings settings;
    settings.path = path();
    settings.home = &loop;
    settings.write_buffer_bytes = 4 * 1024 * 1024;
    settings.garbage_bytes = 1024 * 1024;
    settings.disk_floor_bytes = test_floor_bytes;
    settings.report = [this](std::string what) { reports.push_back(std::move(what)); };
    settings.file_system = disk_;
    settings.free_bytes = [free = free_bytes_] { return free->load(); };
    return settings;
}

Result<void> RocksRig::open() {
    Result<std::unique_ptr<QueueStore>> opened = open_rocks_store(settings());
    if (!opened) return opened.error();
    store = *std::move(opened);
    return {};
}

void RocksRig::stop() {
    store.reset();
    loop.run_all();
}

void RocksRig::lose_power(std::uint64_t random) {
    disk_->cut_power();
    stop();
    disk_->restore_power(tail, random);
}

void RocksRig::fail_next_sync() {
    disk_->fail(LosingFileSystem::Operation::sync, 0, rocksdb::IOStatus::IOError("test: EIO"));
}

void RocksRig::damage_envelope(QueueId id) {
    damage_envelope_in(path(), id);
}

void damage_envelope_in(const std::filesystem::path& queue, QueueId id) {
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const char* name : {"default", "envelope", "due", "body"})
        families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    const auto env =
        rocksdb::NewCompositeEnv(std::make_shared<LogFileSystem>(rocksdb::FileSystem::Default()));
    rocksdb::DBOptions opening;
    opening.env = env.get();
    rocksdb::DB* opened = nullptr;
    REQUIRE(rocksdb::DB::Open(opening, queue.string(), families, &handles, &opened).ok());
    const std::unique_ptr<rocksdb::DB> database(opened);
    rocksdb::WriteOptions options;
    options.sync = true;
    CHECK(database->Put(options, handles[1], envelope_key(id), "nonsense").ok());
    for (rocksdb::ColumnFamilyHandle* handle : handles) database->DestroyColumnFamilyHandle(handle);
}

}  // namespace posthorse::storage
