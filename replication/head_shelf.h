// Heads of messages that were accepted just now: their first attempt need not read them again.
//
// Place     Of a replicated queue, which keeps them with its claims.
// Contract  keep() returns the head as it is to be kept, or null when there is no room. Its room
//           comes back when the last who has it lets go.
// Owner     One thread; what it returned belongs to any.
// Bounds    bytes_max.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "proto/types/chunk.h"

namespace posthorse::replication {

class HeadShelf {
public:
    static constexpr std::size_t bytes_max = 16 * 1024 * 1024;

    Chunk keep(const Chunk& head) {
        if (*bytes_ + head->size() > bytes_max) return nullptr;
        *bytes_ += head->size();
        return Chunk(head.get(),
                     [head, bytes = bytes_](const std::string* kept) { *bytes -= kept->size(); });
    }

private:
    std::shared_ptr<std::atomic<std::size_t>> bytes_ =
        std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace posthorse::replication
