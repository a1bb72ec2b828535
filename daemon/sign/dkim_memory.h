// The memory of one libopendkim handle.
//
// The library forgets the buffer of each Ed25519 signature. So it gets its memory from here, and
// what it did not free goes with the handle. Each piece is a little longer than asked for: the
// library writes beyond the end of one.
//
// Owner     One handle; must outlive it. Not thread-safe.
#pragma once

#include <cstddef>

namespace posthorse::sign {

class DkimMemory {
public:
    DkimMemory() = default;
    ~DkimMemory();
    DkimMemory(const DkimMemory&) = delete;
    DkimMemory& operator=(const DkimMemory&) = delete;

    // libopendkim's hooks. `closure` is a DkimMemory, or null for what belongs to no handle.
    static void* allocate(void* closure, std::size_t bytes);
    static void release(void* closure, void* memory);

private:
    // In front of each piece, so that a piece finds its neighbours.
    struct alignas(std::max_align_t) Piece {
        Piece* previous;
        Piece* next;
    };
    Piece* first_ = nullptr;
};

}  // namespace posthorse::sign
