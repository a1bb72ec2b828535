// jemalloc is the heap of this program, where it is not built with a sanitiser, which has its own.
#pragma once

namespace posthorse {

// What nobody used for a second goes back to the system, by a thread that begins here: not
// before this process is who it will be, for a thread keeps the rights with which it began.
void begin_to_give_back_heap();

}  // namespace posthorse
