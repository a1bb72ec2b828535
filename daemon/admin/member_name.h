// What members are called, and which one an operator means: by name, by id, or by the beginning of
// an id. Pure.
//
// Errors    invalid: it can be no name. not_found: no member answers to it. conflict: several do;
//           the text lists them.
#pragma once

#include <string>

#include "proto/types/result.h"
#include "replication/core/pool_state.h"

namespace posthorse::admin {

inline constexpr std::size_t id_prefix_min = 4;

// "posthorse-a (182c3590)".
std::string title_of(const replication::Member& member);
// The same of any node: of one that is no member only the id is known.
std::string title_of(const replication::PoolState& state, const NodeId& node);
// "posthorse-a", in printable ASCII; empty when it is no member.
std::string name_of(const replication::PoolState& state, const NodeId& node);

// The member lives as long as `state`.
Result<const replication::Member*> find_member(const replication::PoolState& state,
                                               const std::string& given);

}  // namespace posthorse::admin
