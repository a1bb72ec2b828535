#include "tests/unit/storage/losing_file_system.h"

#include <filesystem>
#include <fstream>
#include <random>
#include <ranges>
#include <sstream>
#include <system_error>
#include <utility>

namespace posthorse::storage {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

constexpr std::uint64_t sector_bytes = 512;  // what a disk writes whole

IOStatus no_power() {
    return IOStatus::IOError("the power is off");
}

std::string directory_of(const std::string& name) {
    return std::filesystem::path(name).lexically_normal().parent_path().string();
}

std::string contents_of(const std::string& name) {
    std::ostringstream contents;
    contents << std::ifstream(name, std::ios::binary).rdbuf();
    return contents.str();
}

}  // namespace

class TrackedFile final : public rocksdb::FSWritableFileOwnerWrapper {
public:
    TrackedFile(std::unique_ptr<rocksdb::FSWritableFile> file,
                std::string name,
                LosingFileSystem& disk)
        : FSWritableFileOwnerWrapper(std::move(file)), name_(std::move(name)), disk_(disk) {}

    IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
        IOStatus status = disk_.begin(LosingFileSystem::Operation::append);
        if (status.ok()) status = FSWritableFileOwnerWrapper::Append(data, options, debug);
        if (status.ok()) disk_.note_appended(name_, data.size());
        return status;
    }
    IOStatus Append(const Slice& data,
                    const IOOptions& options,
                    const rocksdb::DataVerificationInfo&,
                    IODebugContext* debug) override {
        return Append(data, options, debug);
    }
    IOStatus Truncate(std::uint64_t size,
                      const IOOptions& options,
                      IODebugContext* debug) override {
        if (!disk_.powered()) return no_power();
        const IOStatus status = FSWritableFileOwnerWrapper::Truncate(size, options, debug);
        if (status.ok()) disk_.note_truncated(name_, size);
        return status;
    }
    IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
        return disk_.sync(name_, [&] { return Flush(options, debug); });
    }
    IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
        return Sync(options, debug);
    }
    // A hint to the operating system: promises nothing.
    IOStatus RangeSync(std::uint64_t, std::uint64_t, const IOOptions&, IODebugContext*) override {
        return IOStatus::OK();
    }

private:
    const std::string name_;
    LosingFileSystem& disk_;
};

class TrackedPages final : public rocksdb::FSRandomRWFileOwnerWrapper {
public:
    TrackedPages(std::unique_ptr<rocksdb::FSRandomRWFile> file,
                 std::string name,
                 LosingFileSystem& disk)
        : FSRandomRWFileOwnerWrapper(std::move(file)), name_(std::move(name)), disk_(disk) {}

    IOStatus Write(std::uint64_t offset,
                   const Slice& data,
                   const IOOptions& options,
                   IODebugContext* debug) override {
        IOStatus status = disk_.begin(LosingFileSystem::Operation::append);
        if (!status.ok()) return status;
        std::string before(data.size(), '\0');
        Slice read;
        status = Read(offset, before.size(), options, &read, before.data(), debug);
        if (!status.ok()) return status;
        before.resize(read.size());
        status = FSRandomRWFileOwnerWrapper::Write(offset, data, options, debug);
        if (status.ok()) disk_.note_overwritten(name_, offset, std::move(before));
        if (status.ok()) disk_.note_written(name_, offset + data.size());
        return status;
    }
    IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
        return disk_.sync(name_, [&] { return Flush(options, debug); });
    }

private:
    const std::string name_;
    LosingFileSystem& disk_;
};

class TrackedDirectory final : public rocksdb::FSDirectoryWrapper {
public:
    TrackedDirectory(std::unique_ptr<rocksdb::FSDirectory> directory,
                     std::string name,
                     LosingFileSystem& disk)
        : FSDirectoryWrapper(std::move(directory)), name_(std::move(name)), disk_(disk) {}

    IOStatus Fsync(const IOOptions&, IODebugContext*) override {
        if (!disk_.powered()) return no_power();
        disk_.note_directory_synced(name_);
        return IOStatus::OK();
    }
    IOStatus FsyncWithDirOptions(const IOOptions& options,
                                 IODebugContext* debug,
                                 const rocksdb::DirFsyncOptions&) override {
        return Fsync(options, debug);
    }

private:
    const std::string name_;
    LosingFileSystem& disk_;
};

LosingFileSystem::LosingFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

void LosingFileSystem::cut_power() {
    const std::lock_guard lock(mutex_);
    powered_ = false;
}

void LosingFileSystem::restore_power(Tail tail, std::uint64_t random) {
    const std::lock_guard lock(mutex_);
    std::error_code ignored;
    std::mt19937_64 coins(random);
    for (const auto& [name, contents] : files_) {
        const std::uint64_t unsynced = contents.written - contents.synced;
        const std::uint64_t kept = tail == Tail::torn ? random % (unsynced + 1) : 0;
        std::fstream file(name, std::ios::in | std::ios::out | std::ios::binary);
        for (const auto& [sector, before] : contents.overwritten) {
            if (tail == Tail::torn && random != 0 && coins() % 2 == 0) continue;
            file.seekp(static_cast<std::streamoff>(sector * sector_bytes));
            file.write(before.data(), static_cast<std::streamsize>(before.size()));
        }
        file.close();
        std::filesystem::resize_file(name, contents.synced + kept, ignored);
    }
    for (const Rename& rename : std::views::reverse(unsynced_renames_)) {
        std::filesystem::rename(rename.to, rename.from, ignored);
        if (rename.replaced) std::ofstream(rename.to, std::ios::binary) << *rename.replaced;
    }
    for (const std::string& name : unsynced_names_) std::filesystem::remove(name, ignored);
    files_.clear();
    unsynced_names_.clear();
    unsynced_renames_.clear();
    faults_.clear();
    powered_ = true;
}

void LosingFileSystem::set_syncs_lie(bool lie) {
    const std::lock_guard lock(mutex_);
    syncs_lie_ = lie;
}

void LosingFileSystem::fail(Operation operation, std::uint64_t after, IOStatus with) {
    const std::lock_guard lock(mutex_);
    faults_[operation] = {.countdown = after, .with = std::move(with)};
}

std::uint64_t LosingFileSystem::syncs() const {
    const std::lock_guard lock(mutex_);
    return syncs_;
}

bool LosingFileSystem::powered() const {
    const std::lock_guard lock(mutex_);
    return powered_;
}

IOStatus LosingFileSystem::begin(Operation operation) {
    const std::lock_guard lock(mutex_);
    if (!powered_) return no_power();
    if (operation == Operation::sync) syncs_ += 1;
    const auto fault = faults_.find(operation);
    if (fault == faults_.end()) return IOStatus::OK();
    if (fault->second.countdown-- > 0) return IOStatus::OK();
    IOStatus with = fault->second.with;
    faults_.erase(fault);
    return with;
}

void LosingFileSystem::note_appended(const std::string& name, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    files_[name].written += bytes;
}

void LosingFileSystem::note_written(const std::string& name, std::uint64_t end) {
    const std::lock_guard lock(mutex_);
    files_[name].written = std::max(files_[name].written, end);
}

// Of each sector what was there at the last sync is kept.
void LosingFileSystem::note_overwritten(const std::string& name,
                                        std::uint64_t at,
                                        std::string before) {
    const std::lock_guard lock(mutex_);
    for (std::uint64_t had = 0; had < before.size(); had += sector_bytes)
        files_[name].overwritten.try_emplace((at + had) / sector_bytes,
                                             before.substr(had, sector_bytes));
}

void LosingFileSystem::note_truncated(const std::string& name, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    Contents& contents = files_[name];
    contents.written = bytes;
    contents.synced = std::min(contents.synced, bytes);
}

IOStatus LosingFileSystem::sync(const std::string& name, const std::function<IOStatus()>& flush) {
    IOStatus status = begin(Operation::sync);
    if (status.ok()) status = flush();
    if (status.ok()) note_synced(name);
    return status;
}

void LosingFileSystem::note_synced(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (syncs_lie_) return;
    Contents& contents = files_[name];
    contents.synced = contents.written;
    contents.overwritten.clear();
}

void LosingFileSystem::note_directory_synced(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const std::string directory =
        (std::filesystem::path(name) / "").lexically_normal().parent_path().string();
    std::erase_if(unsynced_names_,
                  [&](const std::string& file) { return directory_of(file) == directory; });
    std::erase_if(unsynced_renames_,
                  [&](const Rename& rename) { return directory_of(rename.to) == directory; });
}

IOStatus LosingFileSystem::track(const std::string& name,
                                 IOStatus made,
                                 std::unique_ptr<rocksdb::FSWritableFile>* file) {
    if (made.ok()) *file = std::make_unique<TrackedFile>(std::move(*file), name, *this);
    return made;
}

IOStatus LosingFileSystem::NewWritableFile(const std::string& name,
                                           const rocksdb::FileOptions& options,
                                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                                           IODebugContext* debug) {
    if (!powered()) return no_power();
    {
        const std::lock_guard lock(mutex_);
        files_[name] = {};
        unsynced_names_.insert(name);
    }
    return track(name, target()->NewWritableFile(name, options, file, debug), file);
}

IOStatus LosingFileSystem::ReopenWritableFile(const std::string& name,
                                              const rocksdb::FileOptions& options,
                                              std::unique_ptr<rocksdb::FSWritableFile>* file,
                                              IODebugContext* debug) {
    if (!powered()) return no_power();
    {
        const std::lock_guard lock(mutex_);
        std::error_code missing;
        const std::uint64_t size = std::filesystem::file_size(name, missing);
        if (missing) unsynced_names_.insert(name);
        files_.try_emplace(name,
                           Contents{.written = missing ? 0 : size, .synced = missing ? 0 : size});
    }
    return track(name, target()->ReopenWritableFile(name, options, file, debug), file);
}

IOStatus LosingFileSystem::NewRandomRWFile(const std::string& name,
                                           const rocksdb::FileOptions& options,
                                           std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                           IODebugContext* debug) {
    if (!powered()) return no_power();
    const IOStatus opened = target()->NewRandomRWFile(name, options, file, debug);
    if (!opened.ok()) return opened;
    const std::uint64_t size = std::filesystem::file_size(name);
    const std::lock_guard lock(mutex_);
    files_.try_emplace(name, Contents{.written = size, .synced = size});
    *file = std::make_unique<TrackedPages>(std::move(*file), name, *this);
    return opened;
}

IOStatus LosingFileSystem::NewDirectory(const std::string& name,
                                        const IOOptions& options,
                                        std::unique_ptr<rocksdb::FSDirectory>* directory,
                                        IODebugContext* debug) {
    if (!powered()) return no_power();
    const IOStatus made = target()->NewDirectory(name, options, directory, debug);
    if (made.ok())
        *directory = std::make_unique<TrackedDirectory>(std::move(*directory), name, *this);
    return made;
}

IOStatus LosingFileSystem::RenameFile(const std::string& from,
                                      const std::string& to,
                                      const IOOptions& options,
                                      IODebugContext* debug) {
    if (!powered()) return no_power();
    Rename rename{.from = from, .to = to, .replaced = std::nullopt};
    if (std::filesystem::exists(to)) rename.replaced = contents_of(to);
    const IOStatus renamed = target()->RenameFile(from, to, options, debug);
    if (!renamed.ok()) return renamed;
    const std::lock_guard lock(mutex_);
    if (const auto file = files_.extract(from)) files_[to] = file.mapped();
    unsynced_renames_.push_back(std::move(rename));
    return renamed;
}

IOStatus LosingFileSystem::DeleteFile(const std::string& name,
                                      const IOOptions& options,
                                      IODebugContext* debug) {
    if (!powered()) return no_power();
    {
        const std::lock_guard lock(mutex_);
        files_.erase(name);
        unsynced_names_.erase(name);
    }
    return target()->DeleteFile(name, options, debug);
}

}  // namespace posthorse::storage
