#include "proto/types/assert.h"

#include <cstdio>
#include <cstdlib>

namespace posthorse {

void assert_failed(const char* expression, const char* file, int line) noexcept {
    std::fprintf(stderr, "posthorse: bug: assertion '%s' failed at %s:%d\n", expression, file,
                 line);
    std::fflush(stderr);
    std::abort();
}

}  // namespace posthorse
