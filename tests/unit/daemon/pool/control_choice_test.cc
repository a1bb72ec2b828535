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
    if (control == PoolControl::etcd) record.marks = {17};
    return record;
}

config::Pool by(const std::string& control, std::vector<std::string> endpoints = {}) {
    config::Pool pool;
    pool.control = control;
    pool.etcd.endpoints = std::move(endpoints);
    return pool;
}

const std::vector<std::string> somewhere{"https://etcd-1.test:2379"};

TEST_CASE("a node without a pool looks where the configuration says") {
    CHECK(choose_control(by("embedded"), {})->control == PoolControl::embedded);
    CHECK(choose_control(by("etcd", somewhere), {})->control == PoolControl::etcd);
    replication::ControlRecord found;  // a pool, and no value of it yet
    found.pool_id = "f00d";
    CHECK(choose_control(by("embedded"), found)->control == PoolControl::embedded);
}

TEST_CASE("a member goes by what it remembers, and says when the configuration differs") {
    const struct {
        config::Pool pool;
        PoolControl remembered;
        const char* says;
    } rows[] = {
        {by("embedded"), PoolControl::embedded, ""},
        {by("etcd", somewhere), PoolControl::etcd, ""},
        {by("etcd", somewhere), PoolControl::embedded, "`posthorse pool move --to etcd`"},
        {by("embedded", somewhere), PoolControl::etcd, "pool.control = \"etcd\""},
    };
    for (const auto& row : rows) {
        const auto choice = choose_control(row.pool, remembers(row.remembered));
        REQUIRE(choice.has_value());
        CHECK(choice->control == row.remembered);
        CHECK(choice->differs.empty() == (*row.says == '\0'));
        CHECK(choice->differs.find(row.says) != std::string::npos);
    }
}

TEST_CASE("a last value that may not be committed keeps a node where it is") {
    auto record = remembers(PoolControl::etcd);
    record.marks.clear();
    CHECK(choose_control(by("embedded", somewhere), record)->control == PoolControl::embedded);
}

TEST_CASE("a member of a pool on etcd must know where etcd is") {
    const auto choice = choose_control(by("embedded"), remembers(PoolControl::etcd));
    REQUIRE_FALSE(choice.has_value());
    CHECK(choice.error().what.find("pool.etcd.endpoints") != std::string::npos);
}

}  // namespace
}  // namespace posthorse::pool
