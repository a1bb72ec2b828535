// Keeps room on the disk: measures it, and holds a ballast file to throw off when it gets tight.
//
// Place     Used by rocks_store.cc. RocksDB aborts the process when a disk is full, so it must
//           never be: new mail is refused below the floor (queue_store.h, `full`), and when the
//           room falls to a quarter of the floor all the same (other programs write too), the
//           ballast goes, so that settling and compaction have room to make more.
// Contract  The ballast is a quarter of the floor, `ballast_bytes_max` at most. It is made again
//           when twice the floor is free. The file system is asked once in `measured_for`: each
//           message wants to know several times, and what is written meanwhile is far less than a
//           ballast.
// Owner     One database. adjust() by one thread at a time, free_bytes() by any.
// Errors    A ballast that cannot be made is done without: there is no room for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "proto/types/result.h"
#include "proto/types/time.h"

namespace posthorse::storage {

class DiskGuard {
public:
    static constexpr std::uint64_t ballast_bytes_max = 64 * 1024 * 1024;
    static constexpr Duration measured_for = std::chrono::milliseconds{20};
    using Probe = std::function<std::uint64_t()>;

    // `probe` null: the file system of `directory` is asked; `clock` null: each time.
    DiskGuard(std::filesystem::path directory,
              std::uint64_t floor_bytes,
              Probe probe,
              const Clock* clock = nullptr);

    // Before the database opens. full: not even the ballast gives room enough to open it.
    Result<void> prepare();
    void adjust();
    std::uint64_t free_bytes() const;
    bool has_ballast() const { return has_ballast_; }

private:
    std::uint64_t measure() const;
    void make_ballast();
    void drop_ballast();

    const std::filesystem::path directory_;
    const std::filesystem::path ballast_;
    const std::uint64_t floor_bytes_;
    const std::uint64_t ballast_bytes_;
    const Probe probe_;
    const Clock* const clock_;
    bool has_ballast_ = false;
    mutable std::atomic<std::uint64_t> measured_bytes_ = 0;
    mutable std::atomic<BootTime> measured_until_{};
};

}  // namespace posthorse::storage
