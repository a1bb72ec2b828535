// One queue that was set aside, opened: what is in it, message by message.
//
// Place     aside_copies.h opens it for a step and closes it again.
// Contract  Opening it does what a node's start does (storage/recovery.h). Nothing sends what is
//           in it, and nothing goes but by forget(), which returns when that is synced.
// Owner     One thread, which waits for the disk: never one of an event loop.
// Errors    Of open(): as open_rocks_store(); corrupt also for a folder without a database; full:
//           too little room to open it. Of find() and forget(): not_found.
// Bounds    Memory: a write buffer of 4 MB, a cache of 2 MB, what list() is asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "proto/types/envelope.h"
#include "proto/types/result.h"
#include "storage/queue_store.h"
#include "storage/worker.h"

namespace posthorse::aside {

class AsideCopy {
public:
    struct Entry {
        QueueId id;
        Result<Envelope> envelope;        // corrupt: its record cannot be read
        std::uint32_t open_attempts = 0;  // whose end the copy does not know
    };

    // `room_bytes`: what must be free on its disk.
    static Result<std::unique_ptr<AsideCopy>> open(const std::filesystem::path& queue,
                                                   std::uint64_t room_bytes);

    // With ids above `after`, in their order: those that can be read, and those that cannot.
    Result<std::vector<Entry>> list(QueueId after, std::size_t limit);
    Result<Entry> find(QueueId id);
    Result<Chunk> chunk(QueueId id, std::uint32_t index);
    Result<void> forget(QueueId id);

private:
    AsideCopy() = default;

    Result<std::vector<QueueId>> damaged(PartitionId partition);
    Result<void> count_open_attempts(PartitionId partition, std::vector<Entry>& entries);

    storage::ThreadWorker home_{"set-aside-done"};  // where the store's completions run
    std::unique_ptr<storage::QueueStore> store_;
};

}  // namespace posthorse::aside
