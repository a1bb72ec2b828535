// Which values of a pool on etcd descend from which: what a node heard, against what it knows.
//
// Place     Pure, under etcd_core.h.
// Contract  A value carries a random mark for each version that led to it, the newest first. Two
//           values of one version with one mark are the same. So a restored backup of etcd shows:
//           it went back, as long as nobody has changed it since; or it forked.
// Bounds    marks_max versions: a node that was away for longer takes what it finds.
#pragma once

#include <optional>
#include <vector>

#include "replication/core/etcd_port.h"

namespace posthorse::replication {

// A value's place in its history.
struct Lineage {
    PoolVersion version;
    std::vector<std::uint64_t> marks;  // of `version` and those before it
    bool operator==(const Lineage&) const = default;
};

enum class Descent : std::uint8_t {
    same,          // the value that is known
    newer,         // descends from it, or is too far ahead to tell
    older,         // the known one descends from it: etcd went back
    forked,        // neither: other values were agreed on since
    too_far_back,  // older, and nobody can tell
};
Descent descent(const Lineage& known, const Lineage& heard);

// The mark of `version` in this history; nullopt: it is not there (any more, or yet).
std::optional<std::uint64_t> mark_of(const Lineage& lineage, PoolVersion version);

// The marks of the value that comes next.
std::vector<std::uint64_t> with_mark(std::uint64_t mark, std::vector<std::uint64_t> marks);

}  // namespace posthorse::replication
