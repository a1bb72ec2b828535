// The queue in memory, with a disk that forgets what was not synced: for simulators and tests.
//
// Place     Twin of rocks_store.h over the same record store. tests/ only.
// Contract  A MemoryDisk outlives the stores that are opened on it, as a disk outlives processes:
//             - process crash: destroy the store; the disk keeps every write.
//             - power loss: destroy the store, then disk.crash(keep): all writes since the last
//               sync are gone but the first `keep` of them.
//           Deterministic: everything happens in work posted to the executors of the settings.
//           A slow disk is an executor of its own that the test steps as it likes.
// Owner     The test. Single-threaded.
// Errors    As told by MemoryDisk::Faults.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "proto/types/executor.h"
#include "storage/key_value.h"
#include "storage/queue_store.h"

namespace posthorse::storage {

class MemoryDisk final : public KeyValue {
public:
    struct Faults {
        std::optional<std::uint64_t> fail_sync;  // the sync with this number (from 0) fails
        std::uint64_t free_bytes = UINT64_MAX;
        bool syncs_lie = false;  // "synced", and it was not: what a test suite must find
    };

    Faults faults;

    Result<void> write(std::span<const Write> writes, Sync sync) override;
    Result<void> sync() override;
    Result<std::string> get(Family family, std::string_view key) const override;
    Result<void> scan(Family family, const KeyRange& range, const Visitor& visit) const override;
    std::uint64_t free_bytes() const override { return faults.free_bytes; }
    bool healthy() const override { return !failed_; }

    // Power loss. The disk itself is well again afterwards.
    void crash(std::size_t keep_unsynced_writes = 0);
    std::size_t unsynced_writes() const { return unsynced_.size(); }
    std::uint64_t syncs() const { return syncs_; }
    // Would the key survive a power loss now?
    bool is_synced(Family family, std::string_view key) const;
    // Was it written or removed since the last sync?
    bool is_unsynced(Family family, std::string_view key) const;

    // Changes the bytes under a key behind the store's back: damage. Null value: the key goes.
    void damage(Write write);

private:
    using Table = std::map<std::string, Chunk, std::less<>>;
    using Tables = std::array<Table, family_count>;

    static void apply(const Write& write, Tables& tables);

    Tables now_;
    Tables synced_;
    std::vector<std::vector<Write>> unsynced_;
    std::uint64_t syncs_ = 0;
    bool failed_ = false;
};

struct MemorySettings {
    std::uint64_t disk_floor_bytes = 0;
    std::size_t round_bytes_max = 4 * 1024 * 1024;
    std::function<void(std::string)> report;
};

// Completions run at `home`, the disk's work at `pace`; they may be one. All must outlive the
// store.
Result<std::unique_ptr<QueueStore>> open_memory_store(MemoryDisk& disk,
                                                      Executor& home,
                                                      Executor& pace,
                                                      MemorySettings settings = {});

}  // namespace posthorse::storage
