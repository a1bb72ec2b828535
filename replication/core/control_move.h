// A pool goes from one control plane to the other, and what its members must remember then.
//
// Place     Pure. edge/movable_control.h asks; etcd_core.h writes what it returns.
// Contract  The last value of the control plane that is left says where the pool goes (SetControl).
//           From the moment that it is accepted, no lease is renewed there and nothing is decided.
//           Leases that were given before count on; the other control plane ends no incarnation
//           before a TTL of its own, which began after that value was committed. So nobody stops,
//           and no two ever own the same.
//           The first value on the other side has a version beyond all that the left one could
//           still publish, and its first term is beyond all that could still be voted in.
#pragma once

#include "replication/core/control_message.h"

namespace posthorse::replication {

// Leaders that are elected while the pool moves publish its last value again, each in a version of
// its own.
inline constexpr std::uint64_t versions_skipped = 1000;

// The first value on etcd of a pool that moves there.
PoolState first_on_etcd(PoolState last_embedded);

// What a member has on its disk before it votes: `last_on_etcd` as if its voters, which every
// member finds the same, had agreed on it.
Durable agreement_after_etcd(const Value& last_on_etcd, const Durable& before);

// Does the pool's value on etcd go on from what this node knows of the embedded control plane? So
// it is when the pool moved while this node was away.
bool went_to_etcd(const PoolState& known, const PoolState& on_etcd);

}  // namespace posthorse::replication
