// The queue in RocksDB: what production runs.
//
// Place     RocksDB is in rocks_store.cc, and its files in rocks_log_files.cc. node.cc opens it.
// Contract  As queue_store.h. Opening recovers: the write-ahead log is replayed, half-arrived
//           bodies go, messages are counted; it looks at no mail, so it takes about a second for a
//           million messages. A torn end of the log, which a killed process leaves, is cut off;
//           damage before the end is refused, because behind it acknowledged mail may be missing.
// Owner     node.cc. One process a directory. Three threads of its own, and RocksDB's.
// Errors    Of open: corrupt (the database is damaged: `what` names the way out), invalid (format
//           of another release), full, unavailable (in use by another process), io.
// Bounds    Memory: `write_buffer_bytes` for what is not flushed, `block_cache_bytes` for reads.
//           Both together bound the node's memory, however large the queue is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "proto/types/executor.h"
#include "proto/types/result.h"
#include "storage/queue_store.h"

namespace rocksdb {
class FileSystem;
}

namespace posthorse::storage {

struct RocksSettings {
    std::filesystem::path path;
    Executor* home = nullptr;  // where completions run; outlives the store
    const Clock* clock =
        nullptr;  // outlives the store; null: the disk's room is asked for each time
    std::uint64_t write_buffer_bytes = 64ull * 1024 * 1024;
    std::uint64_t block_cache_bytes = 16ull * 1024 * 1024;
    // Octets of bodies that are gone and lie in files with others: fewer are left where they are.
    std::uint64_t garbage_bytes = 64ull * 1024 * 1024;
    std::uint64_t disk_floor_bytes = 256ull * 1024 * 1024;
    std::function<void(std::string)> report;  // what operators should hear; runs at home

    // For tests: a disk that fails, and one that is full.
    std::shared_ptr<rocksdb::FileSystem> file_system;
    std::function<std::uint64_t()> free_bytes;
};

Result<std::unique_ptr<QueueStore>> open_rocks_store(RocksSettings settings);

}  // namespace posthorse::storage
