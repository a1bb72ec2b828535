// What was read from a peer and not yet taken: octets in at the end, out at the front.
//
// Contract  room() is memory as it is found, for who reads into it: nobody fills it first. text()
//           and room() are valid until the next call that is not const.
// Owner     Whoever reads; not thread-safe.
// Bounds    As many octets as were asked for, twice while it grows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "proto/types/assert.h"

namespace posthorse::runtime {

class InputBuffer {
public:
    std::string_view text() const { return {memory_.get() + begin_, end_ - begin_}; }
    std::size_t size() const { return end_ - begin_; }
    bool empty() const { return begin_ == end_; }

    // Behind the text; grew() says how much of it came.
    std::span<char> room(std::size_t octets) {
        if (capacity_ - end_ < octets) make_room(octets);
        return {memory_.get() + end_, octets};
    }
    void grew(std::size_t octets) {
        PH_ASSERT(octets <= capacity_ - end_);
        end_ += octets;
    }
    // From the front; all, when there are fewer.
    void drop(std::size_t octets) {
        begin_ += std::min(octets, size());
        if (empty()) begin_ = end_ = 0;
    }
    void clear() { begin_ = end_ = 0; }
    // Gives memory back, when the buffer is empty and has more than that.
    void shrink(std::size_t octets) {
        if (!empty() || capacity_ <= octets) return;
        memory_.reset();
        capacity_ = 0;
    }

private:
    void make_room(std::size_t octets) {
        const auto held = size();
        if (capacity_ - held >= octets) {
            std::memmove(memory_.get(), memory_.get() + begin_, held);
            begin_ = 0;
            end_ = held;
            return;
        }
        auto memory = std::make_unique_for_overwrite<char[]>(held + octets);
        if (held > 0) std::memcpy(memory.get(), memory_.get() + begin_, held);
        memory_ = std::move(memory);
        capacity_ = held + octets;
        begin_ = 0;
        end_ = held;
    }

    std::unique_ptr<char[]> memory_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;  // of the text
    std::size_t end_ = 0;
};

}  // namespace posthorse::runtime
