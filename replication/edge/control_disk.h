// What a node remembers of its pool, on its disk; and how it becomes a new node.
//
// Place     edge/control_driver.h reads and writes; node.cc sets aside before it opens the queue.
// Contract  <data_dir>/control/state holds the record (record_codec.h). write_record() returns
//           after the new content and its name are synced; a crash leaves the old file or the new
//           one.
//           A stranger, whose disk is behind what its pool knows of it or is a copy, must not go on
//           with it: its queue and its record go to <data_dir>/set-aside/<UTC time>-<node id>/,
//           beside a file `why`. Nothing is deleted, and nobody but an operator takes it back.
//           The mark, <data_dir>/control/stranger, goes last: a crash on the way leaves it there,
//           and the next start sets aside the rest.
// Owner     One thread at a time, nobody else in the directory. All calls block.
// Errors    not_found: there is no record, a new node's disk. corrupt: it cannot be read back.
//           io: the disk. All name the path.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "replication/core/control_message.h"

namespace posthorse::replication {

// `directory` is <data_dir>/control; made, mode 0700, by the first write.
Result<ControlRecord> read_record(const std::string& directory);
// Of a new node a fresh one, with a node id of its own. Makes the directory.
Result<ControlRecord> open_record(const std::string& directory,
                                  const std::function<std::uint64_t()>& random);
Result<void> write_record(const std::string& directory, const ControlRecord& record);

// --- strangers
Result<void> mark_stranger(const std::string& directory, const std::string& why);
// Why this node must be set aside before it does anything else.
std::optional<std::string> stranger_mark(const std::string& directory);

struct SetAside {
    std::string why;
    std::optional<NodeId> node;  // nullopt: its record cannot be read
    WallTime now{};
};
// Returns where to. Marks first. What is not there is left out.
Result<std::string> set_aside(const std::string& data_dir, const SetAside& what);

struct SetAsideCopy {
    std::string path;
    std::string why;
};
// The oldest first.
Result<std::vector<SetAsideCopy>> list_set_aside(const std::string& data_dir);

}  // namespace posthorse::replication
