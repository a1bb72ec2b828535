// What the kernel would send of a TCP connection now. Apart from stream.cc: the kernel's header and
// the C library's, which is older, exclude each other.
#pragma once

#include <cstdint>

namespace posthorse::runtime {

struct SendWindow {
    std::uint64_t unsent_bytes = 0;  // written, and not sent once
    std::uint64_t bytes = 0;         // may be on the way, by congestion control and by the peer
};

// All zero: not known.
SendWindow send_window(int descriptor);

}  // namespace posthorse::runtime
