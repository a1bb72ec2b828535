#include "daemon/pool/control_choice.h"

namespace posthorse::pool {

using replication::PoolControl;

Result<void> check_control(const config::Pool& pool, const replication::ControlRecord& record) {
    const auto& remembered = record.agreement.accepted.value;
    if (!remembered || remembered->pool_id.empty()) return {};
    const bool on_etcd = remembered->control == PoolControl::etcd;
    if (on_etcd == pool.on_etcd()) return {};
    const std::string is = on_etcd ? "etcd" : "embedded";
    return Error{Errc::conflict, "pool.control is \"" + pool.control +
                                     "\", and this node remembers a pool that decides by \"" + is +
                                     "\"; set control = \"" + is +
                                     "\", and move the pool while it runs: `posthorse pool move "
                                     "--to " +
                                     pool.control + '`'};
}

}  // namespace posthorse::pool
