#include "daemon/runtime/heap.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

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

HeapFigures heap_figures() {
    std::size_t size = 0;
    std::size_t resident = 0;
    std::size_t of_files = 0;
    std::ifstream("/proc/self/statm") >> size >> resident >> of_files;
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const auto heaps = ::mallinfo2();
    return {(resident - std::min(resident, of_files)) * page, heaps.uordblks + heaps.hblkhd};
}

bool TrimmingRule::wants(const HeapFigures& now) {
    stays_ = std::min(stays_, now.slack());
    return now.slack() > stays_ + heap_slack_bytes;
}

HeapTrimmer::HeapTrimmer(std::chrono::milliseconds every)
    : every_(every), thread_([this](const std::stop_token& stop) { run(stop); }) {}

void HeapTrimmer::run(const std::stop_token& stop) {
    TrimmingRule rule;
    std::unique_lock lock(mutex_);
    while (!stopped_.wait_for(lock, stop, every_, [&] { return stop.stop_requested(); })) {
        if (!rule.wants(heap_figures())) continue;
        ::malloc_trim(heap_kept_bytes);
        rule.trimmed(heap_figures());
    }
}

}  // namespace posthorse::runtime
