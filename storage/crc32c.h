// CRC-32C (Castagnoli, RFC 3720 section 12.1), with the processor's own instruction where it has
// one.
//
// Contract  Pure. crc32c(a + b) == extend_crc32c(crc32c(a), b).
// Owner     Any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace posthorse::storage {

std::uint32_t extend_crc32c(std::uint32_t crc, std::string_view bytes);

inline std::uint32_t crc32c(std::string_view bytes) {
    return extend_crc32c(0, bytes);
}

}  // namespace posthorse::storage
