// What is peculiar to the control plane on etcd, with a real one. control_conformance.cc has what
// it shares with the other.
#include "replication/edge/etcd_control.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "tests/unit/replication/edge/control_rigs.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

bool mentions(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

bool waits_for(ControlRig& rig, int number, const std::string& what) {
    return rig.advance_until(
        [&] { return mentions(rig.control(number).status().waits_for, what); });
}

bool all_act(ControlRig& rig, std::initializer_list<int> nodes) {
    return rig.advance_until([&] {
        return std::all_of(nodes.begin(), nodes.end(),
                           [&](int number) { return rig.acts(number) && rig.owned(number) > 0; });
    });
}

}  // namespace

TEST_CASE("on etcd nobody votes, and peers have nothing to say about the pool") {
    EtcdRig rig;
    rig.make_pool(1);
    auto& control = rig.control(1);
    const auto status = control.status();
    CHECK(status.control == PoolControl::etcd);
    CHECK(status.waits_for == "");
    CHECK(status.voters.voters.empty());
    CHECK(status.evictable);
    CHECK(status.leases.contains(control.self()));
    CHECK_FALSE(control.unevictable());
    CHECK(rig.value(1).control == PoolControl::etcd);
    std::optional<Refusal> verdict;
    control.receive(control.header(control.self()), StartJoin{{7}},
                    [&](Refusal refusal) { verdict = refusal; });
    CHECK(verdict == Refusal::not_ready);
}

TEST_CASE("etcd is killed: nodes stop at their TTL, and go on as who they were") {
    EtcdRig rig;
    rig.make_pool(2);
    const auto before = rig.control(1).incarnation();
    const auto value = rig.value(1);
    rig.etcd().kill();
    REQUIRE(rig.advance_until([&] { return !rig.acts(1) && !rig.acts(2); }));
    CHECK(mentions(rig.control(1).status().waits_for, "etcd: etcd at http://127.0.0.1:"));
    CHECK(rig.control(1).status().phase == "waiting for etcd");
    const auto lost = rig.propose(1, SetDraining{rig.id(2), true});
    CHECK(lost.has_error());
    rig.etcd().start();
    REQUIRE(all_act(rig, {1, 2}));
    CHECK(rig.control(1).incarnation() == before);
    CHECK(rig.value(1).incarnation == value.incarnation);
}

TEST_CASE("etcd hangs for longer than a lease: nobody is evicted for it") {
    EtcdRig rig;
    rig.make_pool(2);
    const auto before = rig.control(2).incarnation();
    rig.etcd().freeze();
    REQUIRE(rig.advance_until([&] { return !rig.acts(1) && !rig.acts(2); }));
    rig.etcd().thaw();
    REQUIRE(all_act(rig, {1, 2}));
    CHECK(rig.control(2).incarnation() == before);
}

TEST_CASE("etcd is restored from a backup: the pool goes on in a new incarnation of itself") {
    EtcdRig rig;
    rig.make_pool(2);
    rig.etcd().kill();
    const TemporaryDirectory backup;
    rig.etcd().keep_data(backup.path());
    rig.etcd().start();
    REQUIRE(all_act(rig, {1, 2}));
    CHECK(rig.propose(1, SetDraining{rig.id(2), true}).has_value());
    const auto newest = rig.value(1);
    REQUIRE(rig.advance_until([&] { return rig.value(2).version >= newest.version; }));

    rig.etcd().kill();
    rig.etcd().put_back_data(backup.path());
    rig.etcd().start();
    REQUIRE(rig.advance_until([&] {
        return rig.value(1).incarnation == newest.incarnation + 1 &&
               rig.value(2).incarnation == newest.incarnation + 1;
    }));
    CHECK(rig.value(1).pool_id == newest.pool_id);
    CHECK(rig.value(1).version > newest.version);
    CHECK(rig.value(1).member(rig.id(2))->draining);
    REQUIRE(rig.advance_until([&] { return rig.acts(1) && rig.acts(2); }));
    CHECK(rig.stranger(1) == "");
    CHECK(rig.stranger(2) == "");
}

TEST_CASE("etcd was emptied: nodes wait, loudly, until an operator begins anew with one") {
    EtcdRig rig;
    rig.make_pool(2);
    const auto before = rig.value(1);
    rig.etcd().control({"del", "--prefix", "/posthorse/"});
    REQUIRE(waits_for(rig, 1, "etcd holds none"));
    REQUIRE(waits_for(rig, 2, "etcd holds none"));
    const auto other = rig.id(2);
    rig.stop(2);
    REQUIRE(rig.advance_until([&] { return !rig.acts(1); }));
    CHECK(rig.control(1).begin_without({other}).has_value());
    REQUIRE(rig.advance_until([&] { return rig.acts(1); }));
    CHECK(rig.value(1).pool_id == before.pool_id);
    CHECK(rig.value(1).incarnation == before.incarnation + 1);
    CHECK(rig.value(1).member(other) == nullptr);
}

TEST_CASE("another program's value is not taken for the pool's") {
    EtcdRig rig;
    rig.add(1, 0);
    rig.etcd().control({"put", "/posthorse/pool", "{\"of\": \"somebody else\"}"});
    rig.start(1);
    CHECK(waits_for(rig, 1, "that this release can read"));
    CHECK_FALSE(rig.acts(1));
    rig.etcd().control({"del", "/posthorse/pool"});
    CHECK(rig.advance_until([&] { return rig.acts(1); }));
}

TEST_CASE("a record that cannot be read, or an endpoint that is none, is refused") {
    const TemporaryDirectory place;
    PatientHome home;
    class : public Clock {
    public:
        WallTime wall() const override { return {}; }
        BootTime boot() const override { return steady_time(); }
    } clock;
    const auto open = [&](std::string endpoint) {
        return EtcdControl::open(
            place.path() + "/control", {}, {.endpoints = {std::move(endpoint)}, .prefix = "/p"},
            {.home = home, .disk = home, .clock = clock, .random = [] { return 7u; }});
    };
    const auto misspelt = open("localhost");
    REQUIRE(misspelt.has_error());
    CHECK(mentions(misspelt.error().what, "must be https://host:port"));
    const auto path = place.path() + "/control/state";
    std::filesystem::create_directories(place.path() + "/control");
    std::filesystem::copy_file("/proc/self/cmdline", path);
    const auto unreadable = open("http://localhost:1");
    REQUIRE(unreadable.has_error());
    CHECK(unreadable.error().code == Errc::corrupt);
    CHECK(mentions(unreadable.error().what, path));
}
