// How the C library's heap gives memory back to the system.
//
// Contract  Call once, before other threads begin. Mail comes and goes in chunks of proto/types'
//           chunk_bytes, through several buffers each. By default the library maps buffers of such
//           a size anew, or gives the end of its heap back, each time they are freed: the pages are
//           then cleared and faulted in again for the next chunk, which took a third of the
//           processor time of a large message. Here every heap keeps what a few chunks need.
//           Left to itself it also makes a heap for each of the threads that allocate, and each
//           keeps what it once held: here all of them share a few.
// Bounds    heap_kept_bytes for each of heaps_max.
#pragma once

#include <cstddef>

namespace posthorse::runtime {

inline constexpr int heaps_max = 2;
inline constexpr std::size_t heap_kept_bytes = 4 * 1024 * 1024;

void keep_heap_for_chunks();

}  // namespace posthorse::runtime
