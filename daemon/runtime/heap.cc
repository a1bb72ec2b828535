#include "daemon/runtime/heap.h"

#include <malloc.h>

#include "proto/types/limits.h"

namespace posthorse::runtime {
namespace {

// What is larger is mapped for itself, and given back whole: blocks of RocksDB's memory tables.
constexpr std::size_t mapped_bytes_min = 1024 * 1024;
constexpr std::size_t grow_bytes = 1024 * 1024;
static_assert(mapped_bytes_min >= 2 * chunk_bytes);

}  // namespace

void keep_heap_for_chunks() {
    ::mallopt(M_ARENA_MAX, heaps_max);
    ::mallopt(M_MMAP_THRESHOLD, static_cast<int>(mapped_bytes_min));
    ::mallopt(M_TRIM_THRESHOLD, static_cast<int>(heap_kept_bytes));
    ::mallopt(M_TOP_PAD, static_cast<int>(grow_bytes));
}

}  // namespace posthorse::runtime
