#include "replication/counting/pool_counts.h"

#include <doctest/doctest.h>

#include <utility>

using namespace posthorse;
using namespace posthorse::replication;
using namespace std::chrono_literals;

namespace {

const CountKey key{"sender/ann@example.org", 24h};

struct HandClock final : Clock {
    WallTime wall() const override { return WallTime{1'800'000'000s} + passed; }
    BootTime boot() const override { return BootTime{1h} + passed; }
    Duration passed{};
};

// One node of a pool of two, whose other node answers when the test says so.
struct Bench {
    explicit Bench(bool alone) {
        state.members.push_back({.id = self, .incarnation = {1, 1}, .live = true});
        if (!alone) state.members.push_back({.id = other, .incarnation = {1, 2}, .live = true});
        state.members.push_back({.id = dead});
    }
    void answer(Result<std::vector<std::uint64_t>> others) {
        REQUIRE(on_the_way.size() == 1);
        auto done = std::move(on_the_way.back().second);
        on_the_way.pop_back();
        done(std::move(others));
    }

    NodeId self = *NodeId::parse(std::string(32, '1'));
    NodeId other = *NodeId::parse(std::string(32, '2'));
    NodeId dead = *NodeId::parse(std::string(32, '3'));
    HandClock clock;
    PoolState state;
    std::vector<std::pair<CountBatch, Completion<std::vector<std::uint64_t>>>> on_the_way;
    PoolCounts counts{self,
                      {.clock = clock,
                       .pool = [this]() -> const PoolState& { return state; },
                       .send =
                           [this](const Member& to, CountBatch batch, auto done) {
                               CHECK(to.id == other);
                               on_the_way.emplace_back(std::move(batch), std::move(done));
                           }}};
};

}  // namespace

TEST_CASE("a pool of one answers at once") {
    Bench bench(true);
    bench.counts.count(key, 3);
    PoolCounts::Levels levels;
    bench.counts.ask({key}, [&](PoolCounts::Levels all) { levels = std::move(all); });
    REQUIRE(levels.size() == 1);
    CHECK(levels[0].count == 3);
    CHECK(levels[0].members == 1);
    CHECK_FALSE(levels[0].degraded);
    bench.counts.tick();
    CHECK(bench.on_the_way.empty());
}

TEST_CASE("with this node as a home the answer does not wait for the other") {
    Bench bench(false);
    bench.counts.count(key);
    bool answered = false;
    bench.counts.ask({key}, [&](PoolCounts::Levels levels) {
        answered = true;
        CHECK(levels[0].members == 2);
    });
    CHECK(answered);
    bench.counts.tick();
    bench.answer(std::vector<std::uint64_t>{7});
    bench.counts.ask({key}, [&](PoolCounts::Levels levels) { CHECK(levels[0].count == 8); });
}

TEST_CASE("what no home tells is answered after a while, by this node's share") {
    Bench bench(false);
    bench.state.members[0].live = false;  // this node is pending: it is nobody's home yet
    bench.counts.count(key, 5);
    PoolCounts::Levels levels;
    bench.counts.ask({key}, [&](PoolCounts::Levels all) { levels = std::move(all); });
    CHECK(levels.empty());
    REQUIRE(bench.on_the_way.size() == 1);
    CHECK(bench.on_the_way[0].first.entries[0].slots[0].count == 5);
    bench.answer(Error{Errc::unavailable, "it does not answer"});
    bench.clock.passed += PoolCounts::patience;
    bench.counts.tick();
    REQUIRE(levels.size() == 1);
    CHECK(levels[0].degraded);
    CHECK(levels[0].reached(5));
    CHECK(bench.counts.degraded_answers() == 1);
}

TEST_CASE("an answer that comes in time is passed on at once; a stop answers what waits") {
    Bench bench(false);
    bench.state.members[0].live = false;
    int answers = 0;
    bench.counts.ask({key}, [&](PoolCounts::Levels levels) {
        ++answers;
        CHECK(levels[0].count == 4);
    });
    bench.answer(std::vector<std::uint64_t>{4});
    CHECK(answers == 1);
    bench.counts.ask({{"another", 1h}}, [&](PoolCounts::Levels) { ++answers; });
    bench.counts.stop();
    CHECK(answers == 2);
    bench.answer(Error{Errc::cancelled, "stopped"});
}
