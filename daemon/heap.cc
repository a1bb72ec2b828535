#include "daemon/heap.h"

#include <cstddef>

// Many threads allocate what others free: chunks of mail above all, which go from sessions to the
// store and to peers. The C library's heap spent a tenth of the processor on that, and kept what a
// flood had left in it for as long as something small at its end was used.
//
// `MALLOC_CONF` in the environment comes after this.
extern "C" const char* malloc_conf;
extern "C" const char* malloc_conf =
    "narenas:2,"  // as many processors as a small container has; each keeps some
    "max_background_threads:1,dirty_decay_ms:1000,muzzy_decay_ms:0";

// Not there in a sanitised build.
extern "C" [[gnu::weak]] int mallctl(const char*, void*, std::size_t*, void*, std::size_t);

namespace posthorse {

void begin_to_give_back_heap() {
    bool on = true;
    if (mallctl != nullptr) mallctl("background_thread", nullptr, nullptr, &on, sizeof on);
}

}  // namespace posthorse
