// An ordered key-value database with a write-ahead log, as a port: what the queue needs of one.
//
// Place     Below storage/record_store.h, which keeps the queue in it. Implementations: RocksDB
//           (rocks_store.cc) and memory that forgets what was not synced (memory_store.h).
// Contract  write() is atomic over all families. With `Sync::yes` it returns only after this and
//           every earlier write is on disk; with `Sync::no` it has left the process.
//           sync() returns only after every write that had returned before is on disk.
//           Whatever a crash takes, it takes from the end: a later write never survives an earlier.
//           Reads see every write that has returned.
// Owner     write() and sync() are called by one thread at a time; the reads by any.
// Errors    io: the disk failed. not_found. corrupt: the database knows that the bytes are damaged.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "proto/types/chunk.h"
#include "proto/types/result.h"
#include "storage/queue_key.h"

namespace posthorse::storage {

// FORMAT.md says what each holds.
enum class Family : std::uint8_t { meta, envelope, due, body };
inline constexpr std::size_t family_count = 4;
// One letter for each, for keys that tell where bytes came from.
constexpr char to_char(Family family) {
    return "medb"[static_cast<std::size_t>(family)];
}

// `value` null: the key goes, or, when `until` is not empty, all keys from `key` up to `until`.
struct Write {
    Family family = Family::meta;
    std::string key;
    Chunk value = nullptr;
    std::string until = {};
};

enum class Sync : bool { no, yes };

class KeyValue {
public:
    // Called with each key and value; returns whether to go on.
    using Visitor = std::function<bool(std::string_view key, std::string_view value)>;

    virtual ~KeyValue() = default;

    virtual Result<void> write(std::span<const Write> writes, Sync sync) = 0;
    virtual Result<void> sync() = 0;
    virtual Result<std::string> get(Family family, std::string_view key) const = 0;
    // In key order. corrupt: the visits so far were right, the rest of the range is not known.
    virtual Result<void> scan(Family family, const KeyRange& range, const Visitor& visit) const = 0;
    // Room that is left on the disk.
    virtual std::uint64_t free_bytes() const = 0;
    // False for ever after the database gave up on a failed write, also one of its own.
    virtual bool healthy() const = 0;
};

}  // namespace posthorse::storage
