#include "replication/core/control_move.h"

#include <algorithm>

#include "replication/core/placement.h"

namespace posthorse::replication {
namespace {

// Each version could see this many elections and its terms would still not reach those of the next.
constexpr std::uint64_t terms_a_version = 1u << 24;

}  // namespace

PoolState first_on_etcd(PoolState last_embedded) {
    last_embedded.control = PoolControl::etcd;
    last_embedded.version.value += versions_skipped;
    return last_embedded;
}

Durable agreement_after_etcd(const Value& last_on_etcd, const Durable& before) {
    Durable after;
    auto& accepted = after.accepted;
    accepted.term = {last_on_etcd->version.value * terms_a_version};
    accepted.version = last_on_etcd->version;
    accepted.value = last_on_etcd;
    accepted.configuration = first_voters(*last_on_etcd);
    accepted.committed = accepted.configuration;
    after.current_term = std::max(accepted.term, before.current_term);
    return after;
}

bool went_to_etcd(const PoolState& known, const PoolState& on_etcd) {
    return on_etcd.control == PoolControl::etcd && on_etcd.pool_id == known.pool_id &&
           on_etcd.incarnation >= known.incarnation && on_etcd.version > known.version;
}

}  // namespace posthorse::replication
