// Which messages of a copy have begun to be adopted, and as what: a file beside the copy.
//
// Place     aside_copies.h writes it before an adoption is committed, so that a crash between the
//           commit and the removal from the copy shows when the message is met again.
// Contract  <directory>/adoptions, a line a message: the old id and the new one, or "-" when the
//           new one was withdrawn. The last line about a message counts. begun() and withdrawn()
//           return after the line is synced. A torn last line, of a crash, says nothing.
// Owner     One thread at a time. All calls block.
// Errors    io: the disk.
#pragma once

#include <map>
#include <string>

#include "proto/types/ids.h"
#include "proto/types/result.h"

namespace posthorse::aside {

class Journal {
public:
    explicit Journal(const std::string& directory) : path_(directory + "/adoptions") {}

    // By the old id.
    Result<std::map<QueueId, QueueId>> read() const;
    Result<void> begun(QueueId old_id, QueueId new_id);
    Result<void> withdrawn(QueueId old_id);

private:
    Result<void> append(const std::string& line);

    const std::string path_;
};

}  // namespace posthorse::aside
