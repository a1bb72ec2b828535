#include "replication/edge/embedded_control.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "replication/edge/control_disk.h"
#include "tests/unit/support/manual_executor.h"
#include "tests/unit/support/temporary_directory.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace std::chrono_literals;
using posthorse::tests::ManualExecutor;
using posthorse::tests::TemporaryDirectory;

namespace {

class HandClock final : public Clock {
public:
    WallTime wall() const override { return WallTime{now.time_since_epoch()}; }
    BootTime boot() const override { return now; }
    BootTime now{10s};
};

// One start of a node without peers on a directory of the test.
struct Life {
    explicit Life(const std::string& directory, std::uint64_t seed = 1) {
        auto opened = EmbeddedControl::open(
            directory, {.facts = {.name = "node-a", .address = {}, .zone = {}, .release = {}}},
            {.home = home,
             .disk = home,
             .clock = clock,
             .random = [seed]() mutable { return seed++; },
             .send = [](const Outgoing&) { FAIL("nobody is there to be spoken to"); },
             .look = [](const EmbeddedControl::Discovered& found) { found({}, true); },
             .probe =
                 [this](Completion<> done) {
                     if (store_works) done({});
                 },
             .notice = [](const ControlNotice&) {},
             .stranger = [](const std::string&) { FAIL("it is no stranger"); },
             .failed = [this](const Error& error) { failure = error.what; }});
        if (!opened) {
            refused = opened.error();
            return;
        }
        control = *std::move(opened);
        control->watch([this](const PoolState& state) { seen.push_back(state); });
    }

    void begin() {
        control->start([this](Result<PoolState> result) {
            if (result) started = *result;
        });
        run_for(1s);
    }
    void run_for(Duration time) {
        for (const auto end = clock.now + time; clock.now < end; clock.now += 50ms) {
            control->tick();
            home.run();
        }
    }

    ManualExecutor home;
    HandClock clock;
    std::unique_ptr<EmbeddedControl> control;
    std::optional<Error> refused;
    std::optional<PoolState> started;
    std::optional<Error> not_started;
    std::vector<PoolState> seen;
    std::string failure;
    bool store_works = true;
};

}  // namespace

TEST_CASE("a node alone is a pool with partitions of its own and a live lease") {
    TemporaryDirectory place;
    Life node(place.path() + "/control");
    CHECK_FALSE(node.control->lease_live(node.clock.now, Duration{}));
    node.begin();
    REQUIRE(node.started.has_value());
    const auto self = node.control->self();
    CHECK(node.started->members.size() == 1);
    CHECK(node.started->partitions.size() == 5);
    for (const auto& partition : node.started->partitions) {
        CHECK(partition.owner == self);
        CHECK(partition.in_sync == std::vector{self});
    }
    CHECK(node.control->lease_live(node.clock.now, 500ms));
    CHECK(std::filesystem::exists(place.path() + "/control/state"));
}

TEST_CASE("a restart keeps node, pool and partitions, in a new incarnation and new epochs") {
    TemporaryDirectory place;
    std::optional<PoolState> before;
    std::optional<NodeId> self;
    for (std::uint64_t life = 1; life <= 3; ++life) {
        Life node(place.path() + "/control", 100 * life);
        node.begin();
        REQUIRE(node.started.has_value());
        CHECK(node.control->incarnation().counter == life);
        if (before) {
            CHECK(node.control->self() == *self);
            CHECK(node.started->pool_id == before->pool_id);
            REQUIRE(node.started->partitions.size() == before->partitions.size());
            for (std::size_t i = 0; i < before->partitions.size(); ++i) {
                CHECK(node.started->partitions[i].id == before->partitions[i].id);
                CHECK(node.started->partitions[i].epoch > before->partitions[i].epoch);
            }
        }
        before = node.started;
        self = node.control->self();
    }
}

TEST_CASE("a node that nobody can replace goes on though its lease ran out") {
    TemporaryDirectory place;
    Life node(place.path() + "/control");
    node.begin();
    node.store_works = false;
    node.clock.now += 60s;
    CHECK(node.control->lease_live(node.clock.now, 500ms));
}

TEST_CASE("a node alone leaves at once, and then owns nothing") {
    TemporaryDirectory place;
    Life node(place.path() + "/control");
    node.begin();
    bool left = false;
    node.control->leave([&](const Result<void>& result) { left = result.has_value(); });
    CHECK_FALSE(node.control->lease_live(node.clock.now, Duration{}));
    for (const auto& partition : node.seen.back().partitions) CHECK_FALSE(partition.owner);
    node.run_for(1s);
    CHECK(left);
}

TEST_CASE("a record that cannot be read is never replaced by a fresh one") {
    TemporaryDirectory place;
    {
        Life(place.path() + "/control").begin();
    }
    const auto path = place.path() + "/control/state";
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
    Life node(place.path() + "/control");
    REQUIRE(node.refused.has_value());
    CHECK(node.refused->code == Errc::corrupt);
    CHECK(node.refused->what.find(path) != std::string::npos);
}

TEST_CASE("a node that cannot write its record does not begin") {
    TemporaryDirectory place;
    Life node(place.path() + "/control");
    std::filesystem::remove_all(place.path() + "/control");
    std::ofstream(place.path() + "/control") << "a file where the directory was";
    node.begin();
    CHECK_FALSE(node.started.has_value());
    CHECK_FALSE(node.failure.empty());
    CHECK_FALSE(node.control->lease_live(node.clock.now, Duration{}));
}

TEST_CASE("who waits for a node that ended gets an answer") {
    TemporaryDirectory place;
    Life node(place.path() + "/control");
    std::filesystem::remove_all(place.path() + "/control");
    std::ofstream(place.path() + "/control") << "a file where the directory was";
    std::optional<Result<void>> before;
    std::optional<Result<void>> after;
    bool left = false;
    node.control->start(
        [&](const Result<PoolState>& result) { node.not_started = result.error(); });
    const SetDraining change{node.control->self(), true};
    node.control->propose(change, [&](const Result<void>& result) { before = result; });
    node.run_for(1s);
    REQUIRE_FALSE(node.failure.empty());
    REQUIRE(before.has_value());
    CHECK(before->error().code == Errc::unknown);
    node.control->propose(change, [&](const Result<void>& result) { after = result; });
    REQUIRE(after.has_value());
    CHECK(after->error().code == Errc::unavailable);
    node.control->leave([&](const Result<void>&) { left = true; });
    CHECK(left);
    REQUIRE(node.not_started.has_value());
    CHECK(node.not_started->code == Errc::cancelled);
}

TEST_CASE("a node judges headers of streams until it ends, and says who it is") {
    TemporaryDirectory place;
    Life node(place.path() + "/control");
    const auto self = node.control->self();
    CHECK(node.control->judge(node.control->header(self)) == Refusal::not_ready);
    node.begin();
    const auto header = node.control->header(self);
    CHECK(header.from == self);
    CHECK(header.incarnation == node.control->incarnation());
    CHECK(header.pool_id == node.control->committed().pool_id);
    CHECK(header.name == "node-a");
    CHECK(node.control->judge(header) == Refusal::none);
    auto stranger = header;
    stranger.from.bytes[0] ^= 1;
    CHECK(node.control->judge(stranger) == Refusal::not_a_member);

    std::filesystem::remove_all(place.path() + "/control");
    std::ofstream(place.path() + "/control") << "a file where the directory was";
    node.control->propose(SetDraining{self, true}, [](const Result<void>&) {});
    node.run_for(1s);
    REQUIRE_FALSE(node.failure.empty());
    CHECK(node.control->judge(header) == Refusal::not_ready);
}
