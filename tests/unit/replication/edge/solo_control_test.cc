#include "replication/edge/solo_control.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "replication/edge/control_file.h"
#include "tests/unit/support/manual_executor.h"
#include "tests/unit/support/temporary_directory.h"

using namespace posthorse;
using namespace posthorse::replication;
using posthorse::tests::ManualExecutor;
using posthorse::tests::TemporaryDirectory;

namespace {

std::unique_ptr<SoloControl> open(const TemporaryDirectory& place,
                                  ManualExecutor& home,
                                  std::uint64_t seed) {
    auto control = SoloControl::open({place.path() + "/control", "node-a"}, home,
                                     [seed]() mutable { return seed++; });
    REQUIRE(control.has_value());
    return std::move(*control);
}

PoolState started(SoloControl& control, ManualExecutor& home) {
    std::optional<PoolState> state;
    control.start([&](Result<PoolState> result) { state = result.value(); });
    home.run();
    REQUIRE(state.has_value());
    return *state;
}

}  // namespace

TEST_CASE("the lease is live only once the incarnation is on disk") {
    TemporaryDirectory place;
    ManualExecutor home;
    auto control = open(place, home, 1);
    CHECK_FALSE(control->lease_live(BootTime{}, Duration{}));
    started(*control, home);
    CHECK(control->lease_live(BootTime{}, Duration{}));
    CHECK(std::filesystem::exists(place.path() + "/control/state"));
}

TEST_CASE("a restart keeps node, pool and partitions, and begins a new incarnation") {
    TemporaryDirectory place;
    ManualExecutor home;
    const auto first = started(*open(place, home, 1), home);
    auto control = open(place, home, 100);
    const auto second = started(*control, home);
    CHECK(second.pool_id == first.pool_id);
    CHECK(second.members.front().id == first.members.front().id);
    CHECK(second.members.front().incarnation.counter == 2);
    CHECK(control->incarnation().counter == 2);
    CHECK(second.partitions.front().epoch > first.partitions.front().epoch);
}

TEST_CASE("a file that cannot be read back is an error that names it, never a fresh node") {
    TemporaryDirectory place;
    ManualExecutor home;
    started(*open(place, home, 1), home);
    const auto path = place.path() + "/control/state";
    std::string bytes;
    {
        std::ifstream file(path, std::ios::binary);
        bytes.assign(std::istreambuf_iterator<char>(file), {});
    }
    REQUIRE(bytes.size() > 40);
    for (std::size_t at = 0; at < bytes.size(); at += 7) {
        CAPTURE(at);
        auto damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
        std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
        const auto reopened =
            SoloControl::open({place.path() + "/control", "node-a"}, home, [] { return 9u; });
        REQUIRE_FALSE(reopened.has_value());
        CHECK(reopened.error().code == Errc::corrupt);
        CHECK(reopened.error().what.find(path) != std::string::npos);
    }
}

TEST_CASE("the control file's content survives encoding") {
    ControlFileContent content;
    content.self.bytes.fill(3);
    content.pool.pool_id = "pool";
    content.pool.version = {12};
    Member member;
    member.id = content.self;
    member.facts.name = "a";
    member.incarnation = {4, 5};
    member.live = true;
    member.draining = true;
    content.pool.members.push_back(member);
    PartitionState waiting;  // without an owner
    waiting.id = {8};
    waiting.in_sync = {content.self};
    waiting.epoch = {3};
    waiting.phase = PartitionPhase::closing;
    waiting.solo = true;
    content.pool.partitions.push_back(waiting);
    const auto decoded = decode_control_file(encode_control_file(content));
    REQUIRE(decoded.has_value());
    CHECK(*decoded == content);
}

TEST_CASE("a pool of one has nothing to agree on") {
    TemporaryDirectory place;
    ManualExecutor home;
    auto control = open(place, home, 1);
    const auto state = started(*control, home);
    std::optional<Errc> refused;
    control->propose(DropHolder{PartitionId{1}, Epoch{1}, control->self()},
                     [&](Result<void> result) { refused = result.error().code; });
    home.run();
    CHECK(refused == Errc::conflict);
}
