// RocksDB on logs that are used again: what it wrote, it reads, and damage is not taken for an end.
#include "storage/rocks_log_files.h"

#include <doctest/doctest.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include "tests/unit/storage/log_octets.h"
#include "tests/unit/storage/rocks_files.h"

using namespace posthorse;
using namespace posthorse::storage;

namespace {

struct Database {
    explicit Database(const std::filesystem::path& path, bool in_pages = true) {
        rocksdb::Options options;
        options.create_if_missing = true;
        options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
        if (in_pages) options.env = env.get();
        rocksdb::DB* opened = nullptr;
        status = rocksdb::DB::Open(options, path, &opened);
        database.reset(opened);
    }
    bool put(const std::string& key, const std::string& value) {
        return database->Put(rocksdb::WriteOptions(), key, value).ok();
    }
    std::string get(const std::string& key) {
        std::string value;
        return database->Get(rocksdb::ReadOptions(), key, &value).ok() ? value : "(none)";
    }

    std::unique_ptr<rocksdb::Env> env =
        rocksdb::NewCompositeEnv(std::make_shared<LogFileSystem>(rocksdb::FileSystem::Default()));
    std::unique_ptr<rocksdb::DB> database;
    rocksdb::Status status;
};

void sync_names(rocksdb::FileSystem& disk, const std::string& directory) {
    std::unique_ptr<rocksdb::FSDirectory> names;
    REQUIRE(disk.NewDirectory(directory, {}, &names, nullptr).ok());
    REQUIRE(names->Fsync({}, nullptr).ok());
}

}  // namespace

TEST_CASE("a log of an older release is read, and an older release refuses one in pages") {
    const TemporaryDirectory directory;
    REQUIRE(Database(directory.path(), false).put("old", "plain"));
    {
        Database now(directory.path());
        REQUIRE(now.status.ok());
        CHECK(now.get("old") == "plain");
        REQUIRE(now.put("new", "in pages"));
    }
    const Database older(directory.path(), false);
    CHECK(older.status.IsCorruption());
    CHECK(Database(directory.path()).get("new") == "in pages");
}

TEST_CASE("a log that is removed is the file of a later one") {
    Session<RocksRig> queue;
    std::uint32_t counter = 0;
    queue.commit(counter++);
    const auto first = files(queue.rig, ".log");
    REQUIRE(first.size() == 1);
    const auto used = log_octets(first[0]);
    CHECK(used > 0);
    CHECK(used < std::filesystem::file_size(first[0]));  // it was as long before
    for (int life = 0; life < 5; ++life) {
        queue.reopen();
        queue.commit(counter++);
        CHECK(ids_of(queue.list()).size() == counter);
    }
    std::size_t spares = 0;
    for (const auto& entry : std::filesystem::directory_iterator(queue.rig.path()))
        spares += entry.path().filename().string().starts_with("log.spare.");
    CHECK(spares >= 1);
    CHECK(spares <= 2);
}

TEST_CASE("many logs of one life are used again, and nothing of them is lost") {
    Session<RocksRig> queue;
    const std::string body(200'000, 'b');
    std::uint32_t counter = 0;
    for (; counter < 100; ++counter)
        REQUIRE(queue.write(Commit{sample_envelope(sample_id(counter)), make_chunk(body)}));
    queue.lose_power();
    CHECK(ids_of(queue.list()).size() == counter);
    for (std::uint32_t one = 0; one < counter; ++one)
        CHECK(*queue.chunk(sample_id(one), 0) == body);
}

TEST_CASE("pages of a log whose name was lost with the power are in no spare") {
    for (std::uint64_t random = 1; random <= 8; ++random) {
        const TemporaryDirectory directory;
        const auto name = directory.path() / "000005.log";
        const auto disk = std::make_shared<LosingFileSystem>();
        LogFileSystem logs(disk);
        logs.make_spare(directory.path(), 16 * log_page_bytes);
        sync_names(*disk, directory.path());
        {
            std::unique_ptr<rocksdb::FSWritableFile> log;
            REQUIRE(logs.NewWritableFile(name, {}, &log, nullptr).ok());
            for (int record = 0; record < 20; ++record)
                REQUIRE(log->Append("some record", {}, nullptr).ok());
            disk->cut_power();
        }
        disk->restore_power(LosingFileSystem::Tail::torn, random);
        CHECK(std::filesystem::exists(name));
    }
}

TEST_CASE("the power does not take the end of a log that another one follows") {
    const TemporaryDirectory directory;
    const auto disk = std::make_shared<LosingFileSystem>();
    LogFileSystem logs(disk);
    const std::string first = directory.path() / "000005.log";
    {
        std::unique_ptr<rocksdb::FSWritableFile> log;
        REQUIRE(logs.NewWritableFile(first, {}, &log, nullptr).ok());
        REQUIRE(log->Append("written, not synced", {}, nullptr).ok());
        std::unique_ptr<rocksdb::FSWritableFile> next;
        REQUIRE(logs.NewWritableFile(directory.path() / "000006.log", {}, &next, nullptr).ok());
        sync_names(*disk, directory.path());
        disk->cut_power();
    }
    disk->restore_power(LosingFileSystem::Tail::lost, 0);
    std::unique_ptr<rocksdb::FSSequentialFile> read;
    REQUIRE(logs.NewSequentialFile(first, {}, &read, nullptr).ok());
    std::string scratch(100, '\0');
    rocksdb::Slice found;
    REQUIRE(read->Read(scratch.size(), {}, &found, scratch.data(), nullptr).ok());
    CHECK(found.ToString() == "written, not synced");
}

TEST_CASE("a log that does not sync is followed by none") {
    const TemporaryDirectory directory;
    const auto disk = std::make_shared<LosingFileSystem>();
    LogFileSystem logs(disk);
    std::unique_ptr<rocksdb::FSWritableFile> log;
    REQUIRE(logs.NewWritableFile(directory.path() / "000005.log", {}, &log, nullptr).ok());
    disk->fail(LosingFileSystem::Operation::sync, 0, rocksdb::IOStatus::IOError("test: EIO"));
    std::unique_ptr<rocksdb::FSWritableFile> next;
    const auto begun = logs.NewWritableFile(directory.path() / "000006.log", {}, &next, nullptr);
    CHECK(begun.IsIOError());
    log.reset();
    REQUIRE(logs.NewWritableFile(directory.path() / "000007.log", {}, &next, nullptr).ok());
}
