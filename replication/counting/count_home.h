// Which members keep a count: its home, and a second one with a copy.
//
// Contract  Pure; the same on every node that knows the same members. When a member comes or goes,
//           only the counts that it keeps, or would keep, move (rendezvous hashing).
#pragma once

#include <string_view>
#include <vector>

#include "proto/types/ids.h"

namespace posthorse::replication {

// At most two, the home first.
std::vector<NodeId> homes_of(std::string_view name, const std::vector<NodeId>& members);

}  // namespace posthorse::replication
