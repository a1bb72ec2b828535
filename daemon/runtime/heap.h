// How the C library's heap gives memory back to the system.
//
// Contract  Mail comes and goes in chunks of proto/types' chunk_bytes, through several buffers
//           each. By default the library maps buffers of such a size anew, or gives the end of its
//           heap back, each time they are freed: the pages are then cleared and faulted in again
//           for the next chunk, which took a third of the processor time of a large message.
//           Left to itself it also makes a heap for each of the threads that allocate, and each
//           keeps what it once held. After keep_heap_for_chunks(), called once before other threads
//           begin, they share a few heaps that keep what a few chunks need.
//           The library gives back no more than the end of a heap, and something small at the end
//           keeps all before it, after a flood for good. So a HeapTrimmer looks now and then, on a
//           thread of its own, whether much more is resident than is used, and gives back the
//           holes.
// Bounds    heap_kept_bytes for each of heaps_max; for a while heap_slack_bytes more.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stop_token>
#include <thread>

namespace posthorse::runtime {

inline constexpr int heaps_max = 2;
inline constexpr std::size_t heap_kept_bytes = 4 * 1024 * 1024;
inline constexpr std::size_t heap_slack_bytes = 32 * 1024 * 1024;

void keep_heap_for_chunks();

struct HeapFigures {
    std::size_t resident_bytes = 0;  // of this process, without what files back
    std::size_t used_bytes = 0;      // allocated and not freed
    std::size_t slack() const {
        return resident_bytes > used_bytes ? resident_bytes - used_bytes : 0;
    }
};

HeapFigures heap_figures();

// When the holes are worth the work: what could not be given back is not tried again and again.
class TrimmingRule {
public:
    bool wants(const HeapFigures& now);
    void trimmed(const HeapFigures& after) { stays_ = after.slack(); }

private:
    std::size_t stays_ = 0;
};

class HeapTrimmer {
public:
    explicit HeapTrimmer(std::chrono::milliseconds every = std::chrono::seconds{10});

private:
    void run(const std::stop_token& stop);

    const std::chrono::milliseconds every_;
    std::mutex mutex_;
    std::condition_variable_any stopped_;
    std::jthread thread_;
};

}  // namespace posthorse::runtime
