// What an operation writes into a copy that may not be as its owner thinks: the disk is looked at
// first.
//
// Place     Driven by storage/commit_queue.h: for Restore and Forget, and for every Commit and
//           Settle between BeginCopy and EndCopy, when the copy may hold an older state of the
//           message, or none. All others are blind (queue_batch.h).
// Contract  A message has one due key and is counted once, whatever the copy held before. A Settle
//           makes no record of a message that is not there: its body would be missing.
//           A look at the disk must not miss a write that is still on its way there: RoundNames
//           tells which operations cannot be in one round.
// Errors    io: the disk cannot be read. What it knows to be damaged is overwritten.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "storage/key_value.h"
#include "storage/message_counts.h"
#include "storage/queue_store.h"

namespace posthorse::storage {

// What an operation does beside its writes.
struct Effect {
    MailAmount mail;             // more than before
    std::int64_t set_aside = 0;  // records set aside, more than before
    bool record_written = true;  // false: a body came alone, or the message is not here
};

// Whether append_looked() must write it; `copying` says whether its partition's copy is not whole.
bool looks(const Operation& operation, bool copying);
// Appends nothing when it fails.
Result<Effect> append_looked(const KeyValue& disk,
                             const Operation& operation,
                             std::vector<Write>& out);

// The messages that the operations of one round name.
class RoundNames {
public:
    void add(const Operation& operation);
    // Whether `operation` would look for what an earlier one of the round writes.
    bool collides(const Operation& operation, bool copying) const;

private:
    std::unordered_set<QueueId> records_;
    std::unordered_set<QueueId> bodies_;  // of Append and Abort, which touch no record
};

}  // namespace posthorse::storage
