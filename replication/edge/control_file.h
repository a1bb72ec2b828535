// <data_dir>/control/state: what a node remembers of itself and of its pool's agreed value.
//
// Contract  write() returns after the new content and its name are synced; a crash leaves the old
//           file or the new one. read() tells "not there" (not_found) from "not readable"
//           (corrupt).
#pragma once

#include <string>

#include "replication/control_plane.h"

namespace posthorse::replication {

struct ControlFileContent {
    NodeId self;
    PoolState pool;
    bool operator==(const ControlFileContent&) const = default;
};

// --- the format (posthorse.v1.ControlFile)
std::string encode_control_file(const ControlFileContent& content);
Result<ControlFileContent> decode_control_file(const std::string& bytes);

Result<ControlFileContent> read_control_file(const std::string& path);
Result<void> write_control_file(const std::string& path, const ControlFileContent& content);

}  // namespace posthorse::replication
