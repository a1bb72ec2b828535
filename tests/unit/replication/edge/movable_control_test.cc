#include "replication/edge/movable_control.h"

#include <doctest/doctest.h>

#include "replication/edge/control_disk.h"
#include "replication/edge/embedded_control.h"
#include "tests/unit/replication/core/test_pool.h"
#include "tests/unit/support/manual_executor.h"
#include "tests/unit/support/temporary_directory.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

class HandClock final : public Clock {
public:
    WallTime wall() const override { return WallTime{now.time_since_epoch()}; }
    BootTime boot() const override { return now; }
    BootTime now{10s};
};

// Another control plane, which does what the test says.
struct Elsewhere final : MembershipControl {
    explicit Elsewhere(Passed from)
        : handed(std::move(from)), value(*handed.record.agreement.accepted.value) {}

    void start(Completion<PoolState> done) override { started = std::move(done); }
    const PoolState& read() const override { return value; }
    void watch(UniqueFunction<void(const PoolState&)> what) override { changed = std::move(what); }
    void propose(Change, Completion<> done) override { done({}); }
    bool lease_live(BootTime now, Duration margin) const override {
        return handed.lease.live(now, margin);
    }
    bool unevictable() const override { return false; }
    NodeId self() const override { return handed.record.self; }
    Incarnation incarnation() const override { return handed.record.incarnation; }
    void tick() override {}
    void receive(const Header&, const Message&, UniqueFunction<void(Refusal)> verdict) override {
        verdict(Refusal::not_ready);
    }
    Refusal judge(const Header&) const override { return Refusal::not_ready; }
    Header header(std::optional<NodeId>) const override { return {}; }
    void leave(Completion<> done) override { left = std::move(done); }
    const std::vector<PartitionId>& left_with() const override { return nothing; }
    Result<void> begin_without(const std::vector<NodeId>&) override { return {}; }
    const PoolState& committed() const override { return value; }
    ControlStatus status() const override { return {.control = PoolControl::etcd}; }
    Passed passed() const override { return handed; }

    Passed handed;
    PoolState value;
    Completion<PoolState> started;
    UniqueFunction<void(const PoolState&)> changed;
    Completion<> left;
    std::vector<PartitionId> nothing;
};

// A node on a directory of the test; nobody answers it.
struct Node {
    Node() { open(); }
    // A start of the process.
    void open() {
        control.reset();
        auto opened = MovableControl::open(
            {.from_disk = [this]() -> MovableControl::Made { return embedded(); },
             .go_on = [this](PoolControl to, Passed passed) -> MovableControl::Made {
                 CHECK(to == PoolControl::etcd);
                 auto next = std::make_unique<Elsewhere>(std::move(passed));
                 elsewhere = next.get();
                 return std::unique_ptr<MembershipControl>(std::move(next));
             },
             .look_on_etcd =
                 [this](const std::function<void(Value)>& found) {
                     ++looks;
                     found(on_etcd);
                 },
             .notice = [](const ControlNotice&) {},
             .failed = [](const Error& error) { FAIL(error.what); }},
            home, clock);
        REQUIRE(opened.has_value());
        control = *std::move(opened);
        control->watch([this](const PoolState& state) { seen = state; });
    }
    MovableControl::Made embedded() {
        auto opened = EmbeddedControl::open(
            directory(), {.facts = {.name = "node-a", .address = "a:1", .etcd = true}},
            {.home = home,
             .disk = home,
             .clock = clock,
             .random = [seed = 1u]() mutable { return seed++; },
             .send = [](const Outgoing&) {},
             .look = [](const EmbeddedControl::Discovered& found) { found({}, true); },
             .probe = [](Completion<> done) { done({}); },
             .notice = [](const ControlNotice&) {},
             .stranger = [](const std::string&) { FAIL("it is no stranger"); },
             .failed = [](const Error& error) { FAIL(error.what); },
             .moved = [this](PoolControl to,
                             Passed passed) { control->moved(to, std::move(passed)); }});
        if (!opened) return opened.error();
        return std::unique_ptr<MembershipControl>(*std::move(opened));
    }
    std::string directory() const { return place.path() + "/control"; }
    void run_for(Duration time) {
        for (const auto end = clock.now + time; clock.now < end; clock.now += 50ms) {
            control->tick();
            home.run();
        }
    }

    TemporaryDirectory place;
    ManualExecutor home;
    HandClock clock;
    Value on_etcd;
    int looks = 0;
    std::unique_ptr<MovableControl> control;
    Elsewhere* elsewhere = nullptr;
    PoolState seen;
};

}  // namespace

TEST_CASE("a node goes on with its incarnation, its partitions and its lease") {
    Node node;
    int started = 0;
    node.control->start([&](const Result<PoolState>& live) { started += live.has_value(); });
    node.run_for(2s);
    REQUIRE(started == 1);
    CHECK(node.looks == 0);
    const auto before = node.control->read();
    const auto incarnation = node.control->incarnation();
    std::optional<Result<void>> moved;
    node.control->propose(SetControl{PoolControl::etcd},
                          [&](Result<void> result) { moved = std::move(result); });
    node.run_for(100ms);
    REQUIRE(node.elsewhere != nullptr);
    REQUIRE(moved.has_value());
    CHECK(moved->has_value());
    CHECK(node.control->incarnation() == incarnation);
    CHECK(node.control->read().partitions == before.partitions);
    CHECK(node.control->lease_live(node.clock.now, 1s));
    CHECK(node.control->status().control == PoolControl::etcd);
    // A start there completes nothing a second time; what changes there is heard.
    node.elsewhere->started(node.elsewhere->value);
    CHECK(started == 1);
    node.elsewhere->value.version.value += 7;
    node.elsewhere->changed(node.elsewhere->value);
    CHECK(node.seen.version == node.elsewhere->value.version);
}

TEST_CASE("who leaves while the pool moves leaves on the other side") {
    Node node;
    node.control->start([](const Result<PoolState>&) {});
    node.run_for(2s);
    node.control->propose(SetControl{PoolControl::etcd}, [](const Result<void>&) {});
    bool left = false;
    node.home.post([&] { node.control->leave([&](const Result<void>&) { left = true; }); });
    node.run_for(100ms);
    REQUIRE(node.elsewhere != nullptr);
    if (!left) {
        REQUIRE(static_cast<bool>(node.elsewhere->left));
        node.elsewhere->left({});
    }
    CHECK(left);
}

TEST_CASE("a node that was away when its pool moved finds it on etcd") {
    Node node;
    // Its disk remembers a pool of two; the other is not heard.
    auto known = pool_of(2);
    auto record = node.control->passed().record;
    known.members[0].id = std::min(record.self, test_node(9));
    known.members[1].id = std::max(record.self, test_node(9));
    record.pool_id = known.pool_id;
    record.pool_incarnation = known.incarnation;
    record.incarnation = {7, 7};
    const auto value = std::make_shared<const PoolState>(known);
    record.agreement = {{3}, {{3}, known.version, value, {}, {}}};
    for (const auto& member : known.members)
        record.agreement.accepted.configuration.voters.push_back(member.id);
    record.agreement.accepted.committed = record.agreement.accepted.configuration;
    REQUIRE(write_record(node.directory(), record).has_value());
    node.open();
    node.control->start([](const Result<PoolState>&) {});
    node.run_for(5s);
    CHECK(node.looks > 0);
    CHECK(node.elsewhere == nullptr);  // nothing lies there
    auto left_again = first_on_etcd(known);
    left_again.control = PoolControl::embedded;
    node.on_etcd = std::make_shared<const PoolState>(left_again);
    node.run_for(5s);
    CHECK(node.elsewhere == nullptr);
    node.on_etcd = std::make_shared<const PoolState>(first_on_etcd(known));
    node.run_for(5s);
    REQUIRE(node.elsewhere != nullptr);
    CHECK(node.elsewhere->handed.record.incarnation.counter == 8);
}
