// Whether compaction may move bodies out of their old files, to free the room of those that went.
//
// Contract  RocksDB moves all that lives in the oldest files, garbage beside it or not, with every
//           compaction: a long queue that merely waits would be written anew again and again, and
//           more for new mail the longer it is. So it may only while half of what lies there is
//           garbage, until a quarter is. Files of which nothing lives go without being asked.
#pragma once

#include <cstdint>

namespace posthorse::storage {

struct BodyFiles {
    std::uint64_t bytes = 0;
    std::uint64_t garbage_bytes = 0;  // of these
};

// Less than `worth_bytes` of garbage is left alone.
constexpr bool should_collect(bool collecting, const BodyFiles& files, std::uint64_t worth_bytes) {
    if (files.garbage_bytes < worth_bytes) return false;
    return files.garbage_bytes >= files.bytes / (collecting ? 4 : 2);
}

}  // namespace posthorse::storage
