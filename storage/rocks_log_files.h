// RocksDB's write-ahead log in pages (log_page.h), in files that are used again.
//
// Place     Between RocksDB and its file system: rocks_store.cc puts it there.
// Contract  A log that RocksDB removes is kept as a spare, `log.spare.0` or `log.spare.1`, unless
//           both are there; a new log is written over a spare. Logs are read whole: up to their
//           end, which a kill or a power loss may have torn, or Corruption when a page that was
//           synced is damaged. A log of RocksDB's own form, of an older release, is read as it is.
//           A file that is a log again has its name on the disk before anything is written to it:
//           else, after a power loss, another log might get its number, and find its pages. A log
//           is synced before the next one begins: else a power loss might take the end of one, and
//           leave what was written to the next.
//           All other files are the file system's below.
// Owner     One database, which is in one directory. Any thread.
// Errors    The file system's. A spare that cannot be made or kept is done without.
#pragma once

#include <rocksdb/file_system.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace posthorse::storage {

class LogFileSystem final : public rocksdb::FileSystemWrapper {
public:
    using FileSystemWrapper::FileSystemWrapper;

    // In a directory that has no log and no spare: one of so many octets, for the first log.
    void make_spare(const std::string& directory, std::uint64_t bytes);

    const char* Name() const override { return "LogFileSystem"; }
    rocksdb::IOStatus NewWritableFile(const std::string& name,
                                      const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus ReopenWritableFile(const std::string& name,
                                         const rocksdb::FileOptions& options,
                                         std::unique_ptr<rocksdb::FSWritableFile>* file,
                                         rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus NewSequentialFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                        rocksdb::IODebugContext* debug) override;
    rocksdb::IOStatus RenameFile(const std::string& from,
                                 const std::string& to,
                                 const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* debug) override;

private:
    class Writer;

    rocksdb::IOStatus sync_newest();
    void begun(Writer& writer);
    void closed(const Writer& writer);
    rocksdb::IOStatus make_empty(const std::string& name);
    rocksdb::IOStatus take_spare(const std::string& name);
    bool keep_spare(const std::string& name);
    void forget_cached(const std::string& name);
    bool exists(const std::string& name);
    rocksdb::IOStatus sync_directory_of(const std::string& name);

    std::mutex spares_;  // taking one, and keeping one
    std::mutex newest_mutex_;
    Writer* newest_ = nullptr;  // newest_mutex_; the log that was begun last, until it is closed
};

}  // namespace posthorse::storage
