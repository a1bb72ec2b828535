// The stores that the conformance suite drives, each with its disk and its ways to fail.
//
// Contract  A rig has: `loop`, `store`, `reports`; open() (again, after stop() or lose_power()),
//           stop() (the process ends in order), lose_power(), fail_next_sync(), set_free_bytes(),
//           set_syncs_lie() and damage_envelope(id) (its stored bytes become nonsense; the store
//           must not be open). loses_power says whether lose_power() takes unsynced writes away.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "storage/memory_store.h"
#include "storage/rocks_store.h"
#include "tests/unit/storage/losing_file_system.h"
#include "tests/unit/storage/test_loop.h"

namespace posthorse::storage {

inline constexpr std::uint64_t test_floor_bytes = 1'000'000;
inline constexpr std::uint64_t test_free_bytes = 1'000'000'000;

class MemoryRig {
public:
    static constexpr bool loses_power = true;

    TestLoop loop;
    std::unique_ptr<QueueStore> store;
    std::vector<std::string> reports;

    MemoryRig() { disk_.faults.free_bytes = test_free_bytes; }
    ~MemoryRig() { stop(); }

    Result<void> open();
    void stop();
    void lose_power(std::uint64_t random = 0);
    void fail_next_sync() { disk_.faults.fail_sync = disk_.syncs(); }
    void set_free_bytes(std::uint64_t bytes) { disk_.faults.free_bytes = bytes; }
    void set_syncs_lie(bool lie) { disk_.faults.syncs_lie = lie; }
    void damage_envelope(QueueId id);

private:
    MemoryDisk disk_;
};

// A directory of its own that goes with the test.
class TemporaryDirectory {
public:
    TemporaryDirectory();
    ~TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

// The stored bytes of a message in a queue directory that nobody has open become nonsense.
void damage_envelope_in(const std::filesystem::path& queue, QueueId id);

class RocksRig {
public:
    static constexpr bool loses_power = true;

    TestLoop loop;
    std::unique_ptr<QueueStore> store;
    std::vector<std::string> reports;
    LosingFileSystem::Tail tail = LosingFileSystem::Tail::lost;

    RocksRig();
    ~RocksRig() { stop(); }

    Result<void> open();
    void stop();
    void lose_power(std::uint64_t random = 0);
    void fail_next_sync();
    void set_free_bytes(std::uint64_t bytes) { *free_bytes_ = bytes; }
    void set_syncs_lie(bool lie) { disk_->set_syncs_lie(lie); }
    void damage_envelope(QueueId id);

    LosingFileSystem& disk() { return *disk_; }
    std::filesystem::path path() const { return directory_.path() / "queue"; }
    RocksSettings settings();

private:
    TemporaryDirectory directory_;
    std::shared_ptr<LosingFileSystem> disk_ = std::make_shared<LosingFileSystem>();
    std::shared_ptr<std::atomic<std::uint64_t>> free_bytes_ =
        std::make_shared<std::atomic<std::uint64_t>>(test_free_bytes);
};

// RocksDB on a disk that tears what was not synced.
class TearingRocksRig : public RocksRig {
public:
    TearingRocksRig() { tail = LosingFileSystem::Tail::torn; }
};

}  // namespace posthorse::storage
