#include "storage/memory_store.h"

#include <algorithm>
#include <utility>

#include "storage/record_store.h"
#include "storage/recovery.h"

namespace posthorse::storage {

void MemoryDisk::apply(const Write& write, Tables& tables) {
    Table& table = tables[static_cast<std::size_t>(write.family)];
    if (write.value)
        table.insert_or_assign(write.key, write.value);
    else if (!write.until.empty())
        table.erase(table.lower_bound(write.key), table.lower_bound(write.until));
    else
        table.erase(write.key);
}

Result<void> MemoryDisk::write(std::span<const Write> writes, Sync sync) {
    if (failed_) return Error{Errc::io, "the memory disk has failed before"};
    for (const Write& write : writes) apply(write, now_);
    unsynced_.emplace_back(writes.begin(), writes.end());
    return sync == Sync::yes ? this->sync() : Result<void>{};
}

Result<void> MemoryDisk::sync() {
    if (failed_) return Error{Errc::io, "the memory disk has failed before"};
    if (faults.fail_sync == syncs_++) {
        failed_ = true;
        return Error{Errc::io, "the memory disk was told to fail this sync"};
    }
    if (faults.syncs_lie) return {};
    for (const std::vector<Write>& batch : std::exchange(unsynced_, {}))
        for (const Write& write : batch) apply(write, synced_);
    return {};
}

Result<std::string> MemoryDisk::get(Family family, std::string_view key) const {
    const Table& table = now_[static_cast<std::size_t>(family)];
    const auto found = table.find(key);
    if (found == table.end()) return Error{Errc::not_found, "no such key"};
    return *found->second;
}

Result<void> MemoryDisk::scan(Family family, const KeyRange& range, const Visitor& visit) const {
    const Table& table = now_[static_cast<std::size_t>(family)];
    for (auto entry = table.lower_bound(range.from); entry != table.end(); ++entry) {
        if (!range.to.empty() && entry->first >= range.to) break;
        if (!visit(entry->first, *entry->second)) break;
    }
    return {};
}

void MemoryDisk::crash(std::size_t keep_unsynced_writes) {
    const std::size_t kept = std::min(keep_unsynced_writes, unsynced_.size());
    for (std::size_t i = 0; i < kept; ++i)
        for (const Write& write : unsynced_[i]) apply(write, synced_);
    unsynced_.clear();
    now_ = synced_;
    failed_ = false;
}

bool MemoryDisk::is_synced(Family family, std::string_view key) const {
    return synced_[static_cast<std::size_t>(family)].contains(key);
}

bool MemoryDisk::is_unsynced(Family family, std::string_view key) const {
    return std::ranges::any_of(unsynced_, [&](const std::vector<Write>& batch) {
        return std::ranges::any_of(
            batch, [&](const Write& one) { return one.family == family && one.key == key; });
    });
}

void MemoryDisk::damage(Write write) {
    apply(write, now_);
    apply(write, synced_);
}

namespace {

// One opening of a disk that outlives it.
class Opened final : public KeyValue {
public:
    explicit Opened(MemoryDisk& disk) : disk_(disk) {}

    Result<void> write(std::span<const Write> writes, Sync sync) override {
        return disk_.write(writes, sync);
    }
    Result<void> sync() override { return disk_.sync(); }
    Result<std::string> get(Family family, std::string_view key) const override {
        return disk_.get(family, key);
    }
    Result<void> scan(Family family, const KeyRange& range, const Visitor& visit) const override {
        return disk_.scan(family, range, visit);
    }
    std::uint64_t free_bytes() const override { return disk_.free_bytes(); }
    bool healthy() const override { return disk_.healthy(); }

private:
    MemoryDisk& disk_;
};

std::unique_ptr<Worker> borrow(Executor& executor) {
    return std::make_unique<BorrowedWorker>(executor);
}

}  // namespace

Result<std::unique_ptr<QueueStore>> open_memory_store(MemoryDisk& disk,
                                                      Executor& home,
                                                      Executor& pace,
                                                      MemorySettings settings) {
    const Result<Recovered> recovered = recover(disk);
    if (!recovered) return recovered.error();
    return std::make_unique<RecordStore>(
        std::make_unique<Opened>(disk), home,
        RecordStore::Workers{.writes = borrow(pace), .claims = borrow(pace), .reads = borrow(pace)},
        CommitQueue::Settings{.disk_floor_bytes = settings.disk_floor_bytes,
                              .round_bytes_max = settings.round_bytes_max,
                              .report = std::move(settings.report)},
        *recovered);
}

}  // namespace posthorse::storage
