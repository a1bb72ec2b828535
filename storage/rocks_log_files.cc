#include "storage/rocks_log_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/log_page.h"

namespace posthorse::storage {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

constexpr std::array spare_names{"log.spare.0", "log.spare.1"};
constexpr std::size_t read_pages = 64;  // at once

// What RocksDB calls a file that it is about to remove, a piece at a time.
constexpr std::string_view trash_suffix = ".log.trash";

// 12 of /queue/000012.log; nothing: the file is no log.
std::optional<std::uint64_t> log_number(const std::string& name) {
    const std::filesystem::path path(name);
    if (path.extension() != ".log") return std::nullopt;
    const std::string stem = path.stem();
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(stem.data(), stem.data() + stem.size(), number);
    if (error != std::errc() || end != stem.data() + stem.size()) return std::nullopt;
    return number;
}

std::string beside(const std::string& name, const char* other) {
    return std::filesystem::path(name).parent_path() / other;
}

class LogReader final : public rocksdb::FSSequentialFile {
public:
    LogReader(std::unique_ptr<rocksdb::FSSequentialFile> file, std::string name, std::uint64_t log)
        : file_(std::move(file)), name_(std::move(name)), log_(log) {}

    IOStatus Read(std::size_t most,
                  const IOOptions& options,
                  Slice* result,
                  char* scratch,
                  IODebugContext* debug) override {
        std::size_t had = 0;
        while (had < most) {
            if (data_.empty()) {
                if (const IOStatus status = next_page(options, debug); !status.ok()) return status;
                if (data_.empty()) break;
            }
            const std::size_t taken = std::min(most - had, data_.size());
            std::memcpy(scratch + had, data_.data(), taken);
            data_.remove_prefix(taken);
            had += taken;
        }
        *result = Slice(scratch, had);
        return IOStatus::OK();
    }
    IOStatus Skip(std::uint64_t bytes) override {
        std::vector<char> scratch(log_page_room_bytes);
        while (bytes > 0) {
            Slice skipped;
            const IOStatus status = Read(std::min<std::uint64_t>(bytes, scratch.size()), {},
                                         &skipped, scratch.data(), nullptr);
            if (!status.ok() || skipped.empty()) return status;
            bytes -= skipped.size();
        }
        return IOStatus::OK();
    }

private:
    // The next one with data in it; none: the log ends here.
    IOStatus next_page(const IOOptions& options, IODebugContext* debug) {
        while (!ended_) {
            const auto [page, status] = next_octets(options, debug);
            if (!status.ok()) return status;
            const auto read = read_log_page(page, log_);
            if (!read) return end(page_ - 1, options, debug);
            if (read->data.empty()) continue;
            data_ = read->data;
            break;
        }
        return IOStatus::OK();
    }
    // No page behind the end knows that what is missing was synced.
    IOStatus end(std::uint64_t missing, const IOOptions& options, IODebugContext* debug) {
        ended_ = true;
        while (true) {
            const auto [page, status] = next_octets(options, debug);
            if (!status.ok()) return status;
            if (page.empty()) return IOStatus::OK();
            if (const auto read = read_log_page(page, log_); read && read->synced > missing)
                return IOStatus::Corruption(name_ + ": page " + std::to_string(missing) +
                                            " is damaged, and was synced");
        }
    }
    // Nothing: the file is at its end.
    std::pair<std::string_view, IOStatus> next_octets(const IOOptions& options,
                                                      IODebugContext* debug) {
        if (octets_.empty()) {
            Slice read;
            IOStatus status = file_->Read(buffer_.size(), options, &read, buffer_.data(), debug);
            if (!status.ok()) return {{}, status};
            octets_ = read.ToStringView();
        }
        const auto page = octets_.substr(0, log_page_bytes);
        octets_.remove_prefix(page.size());
        page_ += 1;
        return {page, IOStatus::OK()};
    }

    const std::unique_ptr<rocksdb::FSSequentialFile> file_;
    const std::string name_;
    const std::uint64_t log_;
    std::vector<char> buffer_ = std::vector<char>(read_pages * log_page_bytes);
    std::string_view octets_;  // of the buffer, not looked at yet
    std::uint64_t page_ = 0;   // the number of the next one
    std::string_view data_;    // of the last page, not read yet
    bool ended_ = false;
};

}  // namespace

class LogFileSystem::Writer final : public rocksdb::FSWritableFile {
public:
    Writer(std::unique_ptr<rocksdb::FSRandomRWFile> file,
           std::uint64_t number,
           LogFileSystem& system)
        : file_(std::move(file)), system_(system), pages_(number) {}
    ~Writer() override { system_.closed(*this); }

    IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
        if (data.empty()) return IOStatus::OK();
        const std::lock_guard lock(mutex_);
        size_ += data.size();
        return write(pages_.append(data.ToStringView()), options, debug);
    }
    IOStatus Append(const Slice& data,
                    const IOOptions& options,
                    const rocksdb::DataVerificationInfo&,
                    IODebugContext* debug) override {
        return Append(data, options, debug);
    }
    IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
    // What is appended meanwhile goes to pages that are not being synced.
    IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
        std::unique_lock lock(mutex_);
        const auto pages = pages_.seal();
        lock.unlock();
        IOStatus synced = file_->Sync(options, debug);
        lock.lock();
        if (synced.ok()) pages_.synced(pages);
        return synced;
    }
    bool IsSyncThreadSafe() const override { return true; }
    IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
        system_.closed(*this);
        const std::lock_guard lock(mutex_);
        IOStatus written = IOStatus::OK();
        if (const auto last = pages_.last()) written = write(*last, options, debug);
        const IOStatus closed = file_->Close(options, debug);
        return written.ok() ? closed : written;
    }
    std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override {
        const std::lock_guard lock(mutex_);
        return size_;
    }

private:
    IOStatus write(const LogPages::Run& run, const IOOptions& options, IODebugContext* debug) {
        return file_->Write(run.offset, Slice(run.pages), options, debug);
    }

    const std::unique_ptr<rocksdb::FSRandomRWFile> file_;
    LogFileSystem& system_;
    std::mutex mutex_;
    LogPages pages_;          // mutex_
    std::uint64_t size_ = 0;  // mutex_; of what RocksDB wrote
};

// ------------------------------------------------------------------ writing and reading

IOStatus LogFileSystem::NewWritableFile(const std::string& name,
                                        const FileOptions& options,
                                        std::unique_ptr<rocksdb::FSWritableFile>* file,
                                        IODebugContext* debug) {
    const auto number = log_number(name);
    if (!number) return target()->NewWritableFile(name, options, file, debug);
    IOStatus status = sync_newest();
    if (status.ok()) status = take_spare(name);
    if (status.IsNotFound()) status = make_empty(name);
    if (!status.ok()) return status;
    std::unique_ptr<rocksdb::FSRandomRWFile> pages;
    status = target()->NewRandomRWFile(name, options, &pages, debug);
    if (!status.ok()) return status;
    auto writer = std::make_unique<Writer>(std::move(pages), *number, *this);
    begun(*writer);
    *file = std::move(writer);
    return status;
}

IOStatus LogFileSystem::sync_newest() {
    const std::lock_guard lock(newest_mutex_);
    return newest_ == nullptr ? IOStatus::OK() : newest_->Sync({}, nullptr);
}

void LogFileSystem::begun(Writer& writer) {
    const std::lock_guard lock(newest_mutex_);
    newest_ = &writer;
}

void LogFileSystem::closed(const Writer& writer) {
    const std::lock_guard lock(newest_mutex_);
    if (newest_ == &writer) newest_ = nullptr;
}

IOStatus LogFileSystem::ReopenWritableFile(const std::string& name,
                                           const FileOptions& options,
                                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                                           IODebugContext* debug) {
    // RocksDB does that with `avoid_flush_during_recovery`, which this store does not set.
    if (log_number(name)) return IOStatus::NotSupported("a log goes on after a restart: " + name);
    return target()->ReopenWritableFile(name, options, file, debug);
}

IOStatus LogFileSystem::NewSequentialFile(const std::string& name,
                                          const FileOptions& options,
                                          std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                          IODebugContext* debug) {
    IOStatus status = target()->NewSequentialFile(name, options, file, debug);
    const auto number = log_number(name);
    if (!status.ok() || !number) return status;
    std::unique_ptr<rocksdb::FSSequentialFile> beginning;
    status = target()->NewSequentialFile(name, options, &beginning, debug);
    if (!status.ok()) return status;
    std::array<char, 8> scratch{};
    Slice head;
    status = beginning->Read(scratch.size(), {}, &head, scratch.data(), debug);
    if (status.ok() && begins_log_pages(head.ToStringView()))
        *file = std::make_unique<LogReader>(std::move(*file), name, *number);
    return status;
}

// ------------------------------------------------------------------ spares

void LogFileSystem::make_spare(const std::string& directory, std::uint64_t bytes) {
    std::vector<std::string> names;
    if (!target()->GetChildren(directory, {}, &names, nullptr).ok()) return;
    const auto is_one = [](const std::string& name) {
        return log_number(name) || std::ranges::find(spare_names, name) != spare_names.end();
    };
    if (std::ranges::any_of(names, is_one)) return;
    const std::string unfinished = directory + "/log.spare.new";
    std::unique_ptr<rocksdb::FSWritableFile> file;
    IOStatus status = target()->NewWritableFile(unfinished, {}, &file, nullptr);
    if (!status.ok()) return;
    const std::string zeros(1024 * 1024, '\0');
    for (std::uint64_t left = bytes; status.ok() && left > 0;) {
        const auto some = std::min<std::uint64_t>(left, zeros.size());
        status = file->Append(Slice(zeros.data(), some), {}, nullptr);
        left -= some;
    }
    if (status.ok()) status = file->Fsync({}, nullptr);
    if (status.ok()) status = file->Close({}, nullptr);
    if (status.ok() && keep_spare(unfinished)) return;
    target()->DeleteFile(unfinished, {}, nullptr).PermitUncheckedError();
}

// RocksDB renames what it removes, and then removes that; of a log that becomes a spare it finds
// an empty file.
IOStatus LogFileSystem::RenameFile(const std::string& from,
                                   const std::string& to,
                                   const IOOptions& options,
                                   IODebugContext* debug) {
    if (log_number(from) && to.ends_with(trash_suffix) && keep_spare(from)) return make_empty(to);
    return target()->RenameFile(from, to, options, debug);
}

IOStatus LogFileSystem::take_spare(const std::string& name) {
    const std::lock_guard lock(spares_);
    for (const char* spare : spare_names) {
        if (!exists(beside(name, spare))) continue;
        const IOStatus renamed = target()->RenameFile(beside(name, spare), name, {}, nullptr);
        return renamed.ok() ? sync_directory_of(name) : renamed;
    }
    return IOStatus::NotFound();
}

bool LogFileSystem::keep_spare(const std::string& name) {
    forget_cached(name);
    const std::lock_guard lock(spares_);
    for (const char* spare : spare_names) {
        if (!exists(beside(name, spare)))
            return target()->RenameFile(name, beside(name, spare), {}, nullptr).ok();
    }
    return false;
}

// Its pages would take memory until they are written over, and be counted as written by the large
// pieces in which they are cached.
void LogFileSystem::forget_cached(const std::string& name) {
    std::unique_ptr<rocksdb::FSSequentialFile> file;
    if (target()->NewSequentialFile(name, {}, &file, nullptr).ok())
        file->InvalidateCache(0, 0).PermitUncheckedError();
}

IOStatus LogFileSystem::make_empty(const std::string& name) {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    const IOStatus made = target()->NewWritableFile(name, {}, &file, nullptr);
    return made.ok() ? file->Close({}, nullptr) : made;
}

bool LogFileSystem::exists(const std::string& name) {
    return target()->FileExists(name, {}, nullptr).ok();
}

IOStatus LogFileSystem::sync_directory_of(const std::string& name) {
    std::unique_ptr<rocksdb::FSDirectory> directory;
    const IOStatus opened =
        target()->NewDirectory(std::filesystem::path(name).parent_path(), {}, &directory, nullptr);
    return opened.ok() ? directory->Fsync({}, nullptr) : opened;
}

}  // namespace posthorse::storage
