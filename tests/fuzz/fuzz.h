// What the fuzz targets share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/types/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace posthorse::fuzz {

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

// Cuts an input into the pieces that another part of it asks for.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : rest_(as_text(data, size)) {}

    std::uint8_t octet() {
        if (rest_.empty()) return 0;
        const auto value = static_cast<std::uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }
    // Up to the next NUL, which is dropped, or to the end.
    std::string_view word() {
        const auto end = rest_.find('\0');
        const auto found = rest_.substr(0, end);
        rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
        return found;
    }
    std::string_view rest() const { return rest_; }

private:
    std::string_view rest_;
};

// Calls `take` with `text` in pieces of `piece_bytes`.
template <class Take>
void in_pieces(std::string_view text, std::size_t piece_bytes, Take take) {
    for (std::size_t at = 0; at < text.size(); at += piece_bytes)
        take(text.substr(at, piece_bytes));
}

}  // namespace posthorse::fuzz
