#include "daemon/pool/control_choice.h"

#include <doctest/doctest.h>

namespace posthorse::pool {
namespace {

using replication::PoolControl;

replication::ControlRecord remembers(PoolControl control) {
    replication::PoolState state;
    state.pool_id = "f00d";
    state.control = control;
    replication::ControlRecord record;
    record.pool_id = state.pool_id;
    record.agreement.accepted.value = std::make_shared<const replication::PoolState>(state);
    return record;
}

config::Pool by(const std::string& control) {
    config::Pool pool;
    pool.control = control;
    return pool;
}

TEST_CASE("a node without a pool may look for one by either") {
    CHECK(check_control(by("embedded"), {}).has_value());
    CHECK(check_control(by("etcd"), {}).has_value());
    replication::ControlRecord found;  // a pool, and no value of it yet
    found.pool_id = "f00d";
    CHECK(check_control(by("embedded"), found).has_value());
}

TEST_CASE("a pool is looked for where it is, or moved first") {
    CHECK(check_control(by("embedded"), remembers(PoolControl::embedded)).has_value());
    CHECK(check_control(by("etcd"), remembers(PoolControl::etcd)).has_value());

    const auto to_etcd = check_control(by("etcd"), remembers(PoolControl::embedded));
    REQUIRE_FALSE(to_etcd.has_value());
    CHECK(to_etcd.error().code == Errc::conflict);
    CHECK(to_etcd.error().what.find("`posthorse pool move --to etcd`") != std::string::npos);
    CHECK(to_etcd.error().what.find("set control = \"embedded\"") != std::string::npos);
    CHECK_FALSE(check_control(by("embedded"), remembers(PoolControl::etcd)).has_value());
}

}  // namespace
}  // namespace posthorse::pool
