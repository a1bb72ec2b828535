// How many files and sockets this process may have open.
#pragma once

#include <cstdint>

namespace posthorse::runtime {

// Raises the limit to `wanted` where it is lower and the system lets it; returns what it is then.
// Not further: programs that are started from here may close every one that there could be.
std::uint64_t raise_descriptor_limit(std::uint64_t wanted);

}  // namespace posthorse::runtime
