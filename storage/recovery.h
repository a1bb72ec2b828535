// What a store does before it opens: learn where each partition stands, and clear away what a
// crash left half done.
//
// Place     Called once by rocks_store.cc and memory_store.cc, before the record store takes calls.
// Contract  Looks at the families meta and due only, never at mail: a million messages are counted
//           in about a second; those that an older release wrote once at their envelopes, too. Then
//             - bodies that began to arrive and were never committed go, found by their markers;
//             - intents of messages that are gone go;
//             - a due index that cannot be read is made anew from the envelopes.
//           Writes are synced before it returns. Doing it twice changes nothing more.
// Errors    invalid: the directory was written by a release with another format.
//           corrupt: fences cannot be read, and without them nothing may be written. io.
#pragma once

#include <map>

#include "storage/key_value.h"
#include "storage/queue_record.h"

namespace posthorse::storage {

struct Recovered {
    struct Partition {
        PartitionMark mark;
        std::uint64_t messages = 0;
        std::uint64_t bytes = 0;  // of these
    };
    std::map<PartitionId, Partition> partitions;
    std::uint64_t set_aside = 0;
    std::uint64_t bodies_collected = 0;
    bool due_index_rebuilt = false;
};

Result<Recovered> recover(KeyValue& disk);

}  // namespace posthorse::storage
