// Integers as big-endian bytes, so that byte order is number order. For keys and small records.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

#include "proto/types/assert.h"

namespace posthorse::storage {

template <std::unsigned_integral Integer>
void append_big_endian(std::string& out, Integer value) {
    for (int shift = 8 * (int(sizeof value) - 1); shift >= 0; shift -= 8)
        out.push_back(static_cast<char>(static_cast<unsigned char>(value >> shift)));
}

template <std::unsigned_integral Integer>
Integer read_big_endian(std::string_view bytes, std::size_t at) {
    PH_ASSERT(at + sizeof(Integer) <= bytes.size());
    Integer value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i)
        value = static_cast<Integer>(value << 8) | static_cast<unsigned char>(bytes[at + i]);
    return value;
}

}  // namespace posthorse::storage
