// CRC-32C (Castagnoli, RFC 3720 section 12.1), for records of some hundred bytes.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace posthorse::storage {

inline constexpr std::array<std::uint32_t, 256> crc32c_table = [] {
    constexpr std::uint32_t polynomial_reversed = 0x82F6'3B78;
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc & 1) != 0 ? (crc >> 1) ^ polynomial_reversed : crc >> 1;
        table[byte] = crc;
    }
    return table;
}();

constexpr std::uint32_t crc32c(std::string_view bytes) {
    std::uint32_t crc = ~std::uint32_t{0};
    for (const char c : bytes)
        crc = crc32c_table[(crc ^ static_cast<unsigned char>(c)) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

static_assert(crc32c("123456789") == 0xE306'9283);

}  // namespace posthorse::storage
