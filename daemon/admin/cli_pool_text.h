// What `node ls` and `pool status` print for people, as text. Pure.
//
// Contract  As cli_text.h.
#pragma once

#include <string>

#include "posthorse/v1/admin.pb.h"

namespace posthorse::admin {

// One line a node, then their count.
std::string nodes_text(const v1::GetPoolResponse& pool);

// The pool's figures, one problem a line, or that there is none.
std::string pool_text(const v1::GetPoolResponse& pool);

// One line a partition.
std::string partitions_text(const v1::GetPoolResponse& pool);

}  // namespace posthorse::admin
