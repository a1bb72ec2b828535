#include "daemon/pool/control_choice.h"

namespace posthorse::pool {

using replication::PoolControl;

Result<ControlChoice> choose_control(const config::Pool& pool,
                                     const replication::ControlRecord& record) {
    const auto wanted = pool.on_etcd() ? PoolControl::etcd : PoolControl::embedded;
    if (!record.agreement.accepted.value) return ControlChoice{wanted, {}};
    const auto is = record.marks.empty() ? PoolControl::embedded : PoolControl::etcd;
    if (is == wanted) return ControlChoice{is, {}};
    if (is == PoolControl::etcd && pool.etcd.endpoints.empty()) {
        return Error{
            Errc::conflict,
            "this node remembers a pool on etcd, and pool.etcd.endpoints is empty: set it; "
            "to have the pool back, move it while it runs: `posthorse pool move --to "
            "embedded`"};
    }
    return ControlChoice{
        is, std::string("this node's pool is on ") + to_string(is) + ", and pool.control is \"" +
                pool.control + "\": move the pool with `posthorse pool move --to " + pool.control +
                "`, or set pool.control = \"" + to_string(is) + '"'};
}

}  // namespace posthorse::pool
