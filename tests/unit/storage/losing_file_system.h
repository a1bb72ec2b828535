// A disk for RocksDB that keeps only what was synced, and that fails when it is told to.
//
// Place     Given to storage/rocks_store.h as its file system. Files live in a real directory.
// Contract  cut_power(): from here on nothing reaches the disk, whatever is called. Destroy the
//           database, then restore_power(): every file is as long as at its last sync (or torn: a
//           random part of the rest is there), what was written over is there again (or torn: in
//           random sectors), and files made or renamed since the last sync of their directory are
//           as if they had not been.
//           With `syncs_lie`, syncs of files report success and do nothing: what a test must find.
// Owner     The test, together with RocksDB. Any thread.
#pragma once

#include <rocksdb/file_system.h>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace posthorse::storage {

class LosingFileSystem final : public rocksdb::FileSystemWrapper {
public:
    enum class Tail { lost, torn };
    enum class Operation { append, sync };

    LosingFileSystem();

    void cut_power();
    // `random` decides how much of each unsynced write a torn one left; 0: nothing.
    void restore_power(Tail tail, std::uint64_t random);
    void set_syncs_lie(bool lie);
    // The operation with that number from now (0: the next one) fails, once.
    void fail(Operation operation, std::uint64_t after, rocksdb::IOStatus with);
    std::uint64_t syncs() const;

    const char* Name() const override { return "LosingFileSystem"; }
    rocksdb::IOStatus NewWritableFile(const std::string& name,
                                      const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus ReopenWritableFile(const std::string& name,
                                         const rocksdb::FileOptions& options,
                                         std::unique_ptr<rocksdb::FSWritableFile>* file,
                                         rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus NewRandomRWFile(const std::string& name,
                                      const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                      rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus NewDirectory(const std::string& name,
                                   const rocksdb::IOOptions& options,
                                   std::unique_ptr<rocksdb::FSDirectory>* directory,
                                   rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus RenameFile(const std::string& from,
                                 const std::string& to,
                                 const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus DeleteFile(const std::string& name,
                                 const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* debug) override;

private:
    friend class TrackedFile;
    friend class TrackedPages;
    friend class TrackedDirectory;

    struct Contents {
        std::uint64_t written = 0;
        std::uint64_t synced = 0;
        std::map<std::uint64_t, std::string> overwritten;  // sectors, as they were synced
    };
    struct Rename {
        std::string from;
        std::string to;
        std::optional<std::string> replaced;  // contents that were under `to`
    };
    struct Fault {
        std::uint64_t countdown = 0;
        rocksdb::IOStatus with;
    };

    rocksdb::IOStatus begin(Operation operation);
    rocksdb::IOStatus track(const std::string& name,
                            rocksdb::IOStatus made,
                            std::unique_ptr<rocksdb::FSWritableFile>* file);
    void note_appended(const std::string& name, std::uint64_t bytes);
    void note_written(const std::string& name, std::uint64_t end);
    void note_overwritten(const std::string& name, std::uint64_t at, std::string before);
    void note_truncated(const std::string& name, std::uint64_t bytes);
    rocksdb::IOStatus sync(const std::string& name,
                           const std::function<rocksdb::IOStatus()>& flush);
    void note_synced(const std::string& name);
    void note_directory_synced(const std::string& name);
    bool powered() const;

    mutable std::mutex mutex_;
    bool powered_ = true;
    bool syncs_lie_ = false;
    std::uint64_t syncs_ = 0;
    std::map<Operation, Fault> faults_;
    std::map<std::string, Contents> files_;
    std::set<std::string> unsynced_names_;  // made since their directory was synced
    std::vector<Rename> unsynced_renames_;
};

}  // namespace posthorse::storage
