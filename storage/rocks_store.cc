#include "storage/rocks_store.h"

#include <fcntl.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/perf_level.h>
#include <rocksdb/sst_file_manager.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <system_error>
#include <utility>
#include <vector>

#include "proto/types/assert.h"
#include "storage/body_collection.h"
#include "storage/crc32c.h"
#include "storage/disk_guard.h"
#include "storage/record_store.h"
#include "storage/recovery.h"
#include "storage/rocks_log_files.h"
#include "storage/worker.h"

// The library's own checksum, which is computed in software in Debian's build and takes a third of
// the time of a long write. What a program defines comes before what its libraries do, so RocksDB
// calls this one; of a release that has another, it is never called.
namespace rocksdb::crc32c {

std::uint32_t Extend(std::uint32_t crc, const char* data, std::size_t size);
std::uint32_t Extend(std::uint32_t crc, const char* data, std::size_t size) {
    return posthorse::storage::extend_crc32c(crc, {data, size});
}

}  // namespace rocksdb::crc32c

namespace posthorse::storage {
namespace {

Error to_error(const rocksdb::Status& status) {
    if (status.IsNotFound()) return {Errc::not_found, "no such record"};
    return {status.IsCorruption() ? Errc::corrupt : Errc::io, status.ToString()};
}

constexpr const char* body_family = "body";
constexpr std::uint64_t first_log_bytes_max = 64 * 1024 * 1024;

// What RocksDB's own threads do. A flush or compaction that fails ends the writing, too. But for
// one: a compaction that collects bodies reads all it finds, and one damaged body must not stop a
// node.
class BackgroundWork final : public rocksdb::EventListener {
public:
    void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo& job) override {
        if (job.cf_name == body_family) body_files_changed_ = true;
    }
    void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo& job) override {
        if (job.cf_name == body_family) body_files_changed_ = true;
    }
    // RocksDB runs one compaction at a time, as database_options() has it.
    void OnCompactionBegin(rocksdb::DB*, const rocksdb::CompactionJobInfo& job) override {
        reads_bodies_ = collects_ && job.cf_name == body_family;
    }
    void OnBackgroundError(rocksdb::BackgroundErrorReason reason,
                           rocksdb::Status* status) override {
        const bool damaged_body = reason == rocksdb::BackgroundErrorReason::kCompaction &&
                                  status->IsCorruption() && reads_bodies_;
        if (!damaged_body) {
            failed_ = true;
            return;
        }
        *status = rocksdb::Status::OK();
        met_damage_ = true;
    }
    bool failed() const { return failed_; }
    // Once for each time that it happened.
    bool met_damage() { return met_damage_.exchange(false); }
    // Once for each time, or several.
    bool body_files_changed() { return body_files_changed_.exchange(false); }
    // Before compaction may collect, and after it may no more.
    void set_collects(bool collects) { collects_ = collects; }

private:
    std::atomic<bool> failed_ = false;
    std::atomic<bool> met_damage_ = false;
    std::atomic<bool> body_files_changed_ = true;
    std::atomic<bool> collects_ = false;
    std::atomic<bool> reads_bodies_ = false;
};

rocksdb::BlockBasedTableOptions table_options(const std::shared_ptr<rocksdb::Cache>& cache) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.format_version = 5;
    return table;
}

rocksdb::ColumnFamilyOptions family_options(const std::shared_ptr<rocksdb::Cache>& cache,
                                            std::uint64_t write_buffer_bytes) {
    rocksdb::ColumnFamilyOptions options;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options(cache)));
    options.write_buffer_size = write_buffer_bytes;
    options.max_write_buffer_number = 4;
    options.compression = rocksdb::kLZ4Compression;
    // Compaction writes the first level anew with the little that is left of mail which comes and
    // goes: it is small, in small files, and mail that waits sinks below it.
    options.target_file_size_base = 2 * 1024 * 1024;
    options.max_bytes_for_level_base = 4 * 1024 * 1024;
    return options;
}

// Bodies are written once and dropped whole: they are kept out of the tree that compaction
// rewrites.
rocksdb::ColumnFamilyOptions body_options(rocksdb::ColumnFamilyOptions options) {
    options.enable_blob_files = true;
    options.min_blob_size = 1024;
    options.blob_file_size = 64ull * 1024 * 1024;
    options.enable_blob_garbage_collection = false;  // until there is much: body_collection.h
    options.blob_garbage_collection_age_cutoff = 0.25;
    options.blob_garbage_collection_force_threshold = 0.5;
    return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> families(const RocksSettings& settings) {
    const auto cache = rocksdb::NewLRUCache(settings.block_cache_bytes);
    const auto small = family_options(cache, settings.write_buffer_bytes / 8);
    const auto large = family_options(cache, settings.write_buffer_bytes / 2);
    return {
        {rocksdb::kDefaultColumnFamilyName, small},  // meta
        {"envelope", small},
        {"due", small},
        {body_family, body_options(large)},
    };
}

rocksdb::DBOptions database_options(const RocksSettings& settings) {
    rocksdb::DBOptions options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    // The default mode drops acknowledged records behind a flipped bit and says nothing; the
    // strictest refuses the torn end that any kill leaves. RocksDB's own way to use logs again
    // would blur the two; rocks_log_files.h does not.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    options.recycle_log_file_num = 0;
    options.max_total_wal_size = 4 * settings.write_buffer_bytes;
    // Writers wait when flushes fall behind: else the cap would only be a wish.
    constexpr bool allow_stall = true;
    options.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(
        settings.write_buffer_bytes, nullptr, allow_stall);
    options.max_background_jobs = 2;  // one flush and one compaction
    options.info_log_level = rocksdb::WARN_LEVEL;
    options.keep_log_file_num = 3;
    options.stats_dump_period_sec = 0;
    return options;
}

// The kernel takes 50 ms to remove a log of 64 MB, on a processor that others wait for: files go
// in small pieces, much faster than a node writes new ones.
std::shared_ptr<rocksdb::SstFileManager> slow_removal(rocksdb::Env* env) {
    constexpr std::int64_t bytes_per_second = 512 * 1024 * 1024;
    constexpr std::uint64_t piece_bytes = 1024 * 1024;
    constexpr double any_share = 1e9;  // of the database that may wait for it
    return std::shared_ptr<rocksdb::SstFileManager>(rocksdb::NewSstFileManager(
        env, nullptr, "", bytes_per_second, true, nullptr, any_share, piece_bytes));
}

class RocksDatabase final : public KeyValue {
public:
    explicit RocksDatabase(const RocksSettings& settings)
        : guard_(settings.path, settings.disk_floor_bytes, settings.free_bytes, settings.clock),
          home_(*settings.home),
          report_(settings.report),
          garbage_bytes_(settings.garbage_bytes),
          files_(std::make_shared<LogFileSystem>(
              settings.file_system ? settings.file_system : rocksdb::FileSystem::Default())),
          env_(rocksdb::NewCompositeEnv(files_)) {}
    ~RocksDatabase() override { close(); }
    RocksDatabase(const RocksDatabase&) = delete;
    RocksDatabase& operator=(const RocksDatabase&) = delete;

    Result<void> open(const RocksSettings& settings) {
        if (Result<void> room = guard_.prepare(); !room) return room;
        make_first_log(settings);
        rocksdb::DBOptions options = database_options(settings);
        options.listeners.push_back(background_);
        options.env = env_.get();
        options.sst_file_manager = slow_removal(options.env);
        std::vector<rocksdb::ColumnFamilyHandle*> handles;
        rocksdb::DB* database = nullptr;
        const rocksdb::Status status = rocksdb::DB::Open(options, settings.path.string(),
                                                         families(settings), &handles, &database);
        if (!status.ok()) return to_error(status);
        database_.reset(database);
        PH_ASSERT(handles.size() == handles_.size());
        std::ranges::copy(handles, handles_.begin());
        return {};
    }

    Result<void> write(std::span<const Write> writes, Sync sync) override {
        guard_.adjust();
        if (background_->met_damage()) stop_collecting();
        if (background_->body_files_changed()) adjust_collecting();
        rocksdb::WriteBatch batch;
        for (const Write& write : writes) add(write, batch);
        // A sync with nothing to write still has to cover what was written unsynced before.
        if (batch.Count() == 0) return this->sync();
        rocksdb::WriteOptions options;
        options.sync = sync == Sync::yes;
        return check(database_->Write(options, &batch));
    }

    Result<void> sync() override { return check(database_->SyncWAL()); }

    Result<std::string> get(Family family, std::string_view key) const override {
        rocksdb::ReadOptions options;
        options.fill_cache = family != Family::body;
        std::string value;
        const rocksdb::Status status =
            database_->Get(options, handle(family), rocksdb::Slice(key), &value);
        if (!status.ok()) return to_error(status);
        return value;
    }

    Result<void> scan(Family family, const KeyRange& range, const Visitor& visit) const override {
        const rocksdb::Slice end(range.to);
        rocksdb::ReadOptions options;
        if (!range.to.empty()) options.iterate_upper_bound = &end;
        const std::unique_ptr<rocksdb::Iterator> entry(
            database_->NewIterator(options, handle(family)));
        for (entry->Seek(range.from); entry->Valid(); entry->Next())
            if (!visit(entry->key().ToStringView(), entry->value().ToStringView())) return {};
        // Damage ends the iteration like the end of the range does; only the status tells.
        if (!entry->status().ok()) return to_error(entry->status());
        return {};
    }

    std::uint64_t free_bytes() const override { return guard_.free_bytes(); }
    bool healthy() const override { return !failed_ && !background_->failed(); }

private:
    rocksdb::ColumnFamilyHandle* handle(Family family) const {
        return handles_[static_cast<std::size_t>(family)];
    }

    void add(const Write& write, rocksdb::WriteBatch& batch) const {
        rocksdb::ColumnFamilyHandle* const family = handle(write.family);
        rocksdb::Status added;
        if (write.value)
            added = batch.Put(family, write.key, *write.value);
        else if (!write.until.empty())
            added = batch.DeleteRange(family, write.key, write.until);
        else
            added = batch.Delete(family, write.key);
        PH_ASSERT(added.ok());
    }

    Result<void> check(const rocksdb::Status& status) {
        if (status.ok()) return {};
        failed_ = true;
        return Error{Errc::io, status.ToString()};
    }

    // About as long as one grows until RocksDB begins the next; room for mail comes first.
    void make_first_log(const RocksSettings& settings) {
        const std::uint64_t bytes =
            std::min(settings.write_buffer_bytes / 8 * 5, first_log_bytes_max);
        if (guard_.free_bytes() >= 2 * settings.disk_floor_bytes + bytes)
            files_->make_spare(settings.path, bytes);
    }

    void adjust_collecting() {
        const bool should = !damaged_ && should_collect(collects_, body_files(), garbage_bytes_);
        if (should != collects_) set_collecting(should);
    }

    BodyFiles body_files() const {
        BodyFiles files;
        const auto ask = [this](const std::string& property, std::uint64_t& value) {
            database_->GetIntProperty(handle(Family::body), property, &value);
        };
        ask(rocksdb::DB::Properties::kLiveBlobFileSize, files.bytes);
        ask(rocksdb::DB::Properties::kLiveBlobFileGarbageSize, files.garbage_bytes);
        return files;
    }

    Result<void> set_collecting(bool collects) {
        if (collects) background_->set_collects(true);
        const auto status = database_->SetOptions(
            handle(Family::body),
            {{"enable_blob_garbage_collection", collects ? "true" : "false"}});
        if (!collects) background_->set_collects(false);
        collects_ = collects;
        return check(status);
    }

    // Compaction of the keys goes on, and space of bodies comes back by whole files only.
    void stop_collecting() {
        damaged_ = true;
        if (!set_collecting(false)) return;
        if (!report_) return;
        home_.post([report = report_] {
            report(
                "a body in the queue is damaged on disk: until the next start, space of bodies "
                "comes back by whole files only. The message is named when it is read");
        });
    }

    void close() {
        if (!database_) return;
        if (healthy()) check(database_->SyncWAL());
        for (rocksdb::ColumnFamilyHandle* one : handles_) database_->DestroyColumnFamilyHandle(one);
        database_->Close();
    }

    DiskGuard guard_;
    Executor& home_;
    const std::function<void(std::string)> report_;
    const std::uint64_t garbage_bytes_;
    std::shared_ptr<BackgroundWork> background_ = std::make_shared<BackgroundWork>();
    const std::shared_ptr<LogFileSystem> files_;
    const std::unique_ptr<rocksdb::Env> env_;  // outlives the database
    std::unique_ptr<rocksdb::DB> database_;
    std::array<rocksdb::ColumnFamilyHandle*, family_count> handles_{};
    std::atomic<bool> failed_ = false;
    // The writer's.
    bool collects_ = false;
    bool damaged_ = false;  // a body was: compaction must not read them any more
};

// A directory that a power loss takes away takes the queue with it.
Result<void> make_directory(const std::filesystem::path& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return Error{Errc::io, "cannot make " + path.string() + ": " + error.message()};
    const std::filesystem::path parent = std::filesystem::absolute(path).parent_path();
    const int directory = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return {};  // not readable to us, so not made by us
    const bool synced = ::fsync(directory) == 0;
    ::close(directory);
    if (!synced) return Error{Errc::io, "cannot sync " + parent.string()};
    return {};
}

// Without RocksDB's count of each comparison, which nobody reads.
std::unique_ptr<Worker> make_worker(const char* name) {
    auto worker = std::make_unique<ThreadWorker>(name);
    worker->post([] { rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable); });
    return worker;
}

Error explain(const Error& error, const RocksSettings& settings) {
    const std::string where = "queue " + settings.path.string() + ": ";
    if (error.code == Errc::corrupt)
        return {Errc::corrupt,
                where + error.what +
                    ". Nothing was changed. Restore the directory from a copy, or move it aside "
                    "and start anew: what it holds is then not delivered"};
    if (error.what.find("lock") != std::string::npos)
        return {Errc::unavailable, where + "in use by another process (" + error.what + ")"};
    return {error.code, where + error.what};
}

}  // namespace

Result<std::unique_ptr<QueueStore>> open_rocks_store(RocksSettings settings) {
    PH_ASSERT(settings.home != nullptr);
    if (Result<void> made = make_directory(settings.path); !made) return made.error();
    auto database = std::make_unique<RocksDatabase>(settings);
    if (Result<void> opened = database->open(settings); !opened)
        return explain(opened.error(), settings);
    const Result<Recovered> recovered = recover(*database);
    if (!recovered) return explain(recovered.error(), settings);
    return std::make_unique<RecordStore>(std::move(database), *settings.home,
                                         RecordStore::Workers{
                                             .writes = make_worker("queue-write"),
                                             .claims = make_worker("queue-claim"),
                                             .reads = make_worker("queue-read"),
                                         },
                                         CommitQueue::Settings{
                                             .disk_floor_bytes = settings.disk_floor_bytes,
                                             .round_bytes_max = 4 * 1024 * 1024,
                                             .report = std::move(settings.report),
                                         },
                                         *recovered);
}

}  // namespace posthorse::storage
