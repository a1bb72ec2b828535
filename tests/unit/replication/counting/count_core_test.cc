#include "replication/counting/count_core.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "replication/counting/count_home.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace std::chrono_literals;

namespace {

const CountKey key{"auth-failed/192.0.2.1", 10min};

NodeId node(std::uint8_t number) {
    NodeId id;
    id.bytes.fill(number);
    return id;
}

// Nodes, and the batches between them, each of which the test may lose.
struct Pool {
    explicit Pool(std::uint8_t size) {
        for (std::uint8_t i = 0; i < size; ++i) {
            members.push_back({node(i), {1, i}});
            ids.push_back(node(i));
        }
        for (const auto& member : members) cores.emplace(member.id, CountCore(member.id, {}));
        tell_members();
    }

    void tell_members() {
        for (auto& [id, core] : cores) core.use_members(members);
    }
    void pass(Duration time) {
        now.wall += time;
        now.boot += time;
    }
    void remove(const NodeId& gone) {
        std::erase_if(members, [&](const auto& member) { return member.id == gone; });
        std::erase(ids, gone);
        cores.erase(gone);
        tell_members();
    }
    // Everything that is due is told; to `silent` nodes nothing comes.
    std::size_t settle(std::vector<NodeId> silent = {}) {
        std::size_t batches = 0;
        for (int round = 0; round < 3; ++round) {
            for (auto& [from, core] : cores) {
                for (auto& out : core.tick(now)) {
                    ++batches;
                    const auto to = cores.find(out.to);
                    const bool heard =
                        to != cores.end() && std::ranges::find(silent, out.to) == silent.end();
                    if (heard) {
                        core.answered(out.to, to->second.receive(from, out.batch, now), now);
                    } else {
                        core.failed(out.to, now);
                    }
                }
            }
        }
        return batches;
    }
    CountCore& at(std::uint8_t number) { return cores.at(node(number)); }
    CountLevel level(std::uint8_t number) {
        at(number).look(key, now);
        settle();
        return at(number).look(key, now);
    }

    std::vector<CountMember> members;
    std::vector<NodeId> ids;
    std::map<NodeId, CountCore> cores;
    CountCore::Now now{WallTime{1'800'000'000'000ms}, BootTime{1h}};
};

}  // namespace

TEST_CASE("homes are two, the same for everybody, and few of them move with a member") {
    std::vector<NodeId> members;
    for (std::uint8_t i = 0; i < 10; ++i) members.push_back(node(i));
    auto fewer = members;
    fewer.pop_back();
    std::map<NodeId, int> homes;
    int moved = 0;
    for (int i = 0; i < 1000; ++i) {
        const auto name = "sender/" + std::to_string(i);
        const auto found = homes_of(name, members);
        REQUIRE(found.size() == 2);
        REQUIRE(found[0] != found[1]);
        ++homes[found[0]];
        const bool lived_there = found[0] == members.back() || found[1] == members.back();
        if (!lived_there) CHECK(homes_of(name, fewer) == found);
        moved += lived_there ? 1 : 0;
    }
    for (const auto& [home, count] : homes) CHECK(count > 50);
    CHECK(moved < 300);
    CHECK(homes_of("x", {}).empty());
    CHECK(homes_of("x", {node(1)}).size() == 1);
}

TEST_CASE("a node alone knows its counts at once") {
    Pool pool(1);
    pool.at(0).add(key, 2, pool.now);
    const auto level = pool.at(0).look(key, pool.now);
    CHECK(level.count == 2);
    CHECK_FALSE(level.degraded);
    CHECK(level.reached(2));
    CHECK_FALSE(level.reached(3));
    CHECK(pool.at(0).tick(pool.now).empty());
}

TEST_CASE("what all nodes counted is one count, wherever one looks (S16)") {
    Pool pool(5);
    for (std::uint8_t i = 0; i < 5; ++i) pool.at(i).add(key, i + 1u, pool.now);
    pool.settle();
    pool.pass(1s);  // what a home said stays good for so long
    for (std::uint8_t i = 0; i < 5; ++i) {
        const auto level = pool.level(i);
        CHECK(level.count == 15);
        CHECK_FALSE(level.degraded);
    }
    pool.at(3).add(key, 1, pool.now);
    CHECK(pool.at(3).look(key, pool.now).count == 16);  // its own counts at once
    pool.settle();
    pool.pass(1s);
    CHECK(pool.level(0).count == 16);
}

TEST_CASE("a flood of counts is one batch a home, and a count that rests is none") {
    Pool pool(3);
    for (int i = 0; i < 10'000; ++i) pool.at(0).add(key, 1, pool.now);
    CHECK(pool.settle() <= 2);
    CHECK(pool.settle() == 0);
    pool.pass(5s);
    CHECK(pool.settle() == 0);
    pool.at(0).add(key, 1, pool.now);
    const auto first = pool.at(0).tick(pool.now);
    pool.at(0).add(key, 1, pool.now);
    CHECK(pool.at(0).tick(pool.now).empty());  // one is on the way to each
    for (const auto& out : first) pool.at(0).answered(out.to, {0}, pool.now);
    CHECK(pool.at(0).tick(pool.now).size() == first.size());
}

TEST_CASE("a batch that is lost or doubled does no harm") {
    Pool pool(3);
    pool.at(0).add(key, 3, pool.now);
    for (const auto& out : pool.at(0).tick(pool.now)) {
        pool.cores.at(out.to).receive(node(0), out.batch, pool.now);
        pool.cores.at(out.to).receive(node(0), out.batch, pool.now);
        pool.at(0).failed(out.to, pool.now);  // the answer was lost
    }
    CHECK(pool.at(0).tick(pool.now).empty());  // not at once again
    pool.pass(1s);
    pool.settle();
    CHECK(pool.level(1).count == 3);
    CHECK(pool.level(0).count == 3);
}

TEST_CASE("a home that dies leaves a copy, and the next home hears all from the living") {
    Pool pool(5);
    for (std::uint8_t i = 0; i < 5; ++i) pool.at(i).add(key, 1, pool.now);
    pool.settle();
    const auto homes = homes_of(key.name, pool.ids);
    // Before the pool knows that it is dead the copy answers.
    std::uint8_t other = 0;
    while (node(other) == homes[0] || node(other) == homes[1]) ++other;
    pool.pass(1s);
    pool.at(other).look(key, pool.now);
    pool.settle({homes[0]});
    CHECK(pool.at(other).look(key, pool.now).count == 5);
    CHECK_FALSE(pool.at(other).look(key, pool.now).degraded);
    pool.remove(homes[0]);
    pool.settle();
    CHECK(pool.level(other).count == 5);  // what the dead one counted is among them
}

TEST_CASE("degraded: without its homes a node judges by its share of the limit") {
    Pool pool(4);
    const auto homes = homes_of(key.name, pool.ids);
    std::uint8_t other = 0;
    while (node(other) == homes[0] || node(other) == homes[1]) ++other;
    pool.at(other).add(key, 2, pool.now);
    pool.at(other).look(key, pool.now);
    pool.settle(homes);
    const auto level = pool.at(other).look(key, pool.now);
    CHECK(level.degraded);
    CHECK(level.count == 2);
    CHECK(level.reached(8));
    CHECK_FALSE(level.reached(9));
    pool.pass(1s);
    pool.settle();
    CHECK_FALSE(pool.at(other).look(key, pool.now).degraded);
    pool.pass(4s);  // what was said that long ago counts for nothing
    CHECK(pool.at(other).look(key, pool.now).degraded);
}

TEST_CASE("a node that starts again counts anew, beside what it counted before") {
    Pool pool(3);
    const auto homes = homes_of(key.name, pool.ids);
    std::uint8_t other = 0;
    while (node(other) == homes[0] || node(other) == homes[1]) ++other;
    pool.at(other).add(key, 5, pool.now);
    pool.settle();
    pool.cores.erase(node(other));
    pool.cores.emplace(node(other), CountCore(node(other), {}));
    for (auto& member : pool.members) {
        if (member.id == node(other)) member.incarnation.counter = 2;
    }
    pool.tell_members();
    pool.at(other).add(key, 3, pool.now);
    pool.settle();
    CHECK(pool.level(other).count == 8);
}

TEST_CASE("what was on its way to a home that starts again is told once more") {
    Pool pool(2);
    pool.at(0).add(key, 5, pool.now);
    const auto sent = pool.at(0).tick(pool.now);
    REQUIRE(sent.size() == 1);
    pool.members[1].incarnation.counter = 2;
    pool.cores.erase(node(1));
    pool.cores.emplace(node(1), CountCore(node(1), {}));
    pool.tell_members();
    pool.at(0).answered(node(1), {0}, pool.now);  // of the start before
    pool.pass(1s);
    pool.settle();
    CHECK(pool.level(1).count == 5);
}

TEST_CASE("windows slide: a twelfth at a time") {
    Pool pool(2);
    pool.at(0).add(key, 1, pool.now);
    pool.pass(5min);
    pool.at(1).add(key, 1, pool.now);
    pool.settle();
    CHECK(pool.level(0).count == 2);
    pool.pass(4min);
    CHECK(pool.level(0).count == 2);
    pool.pass(1min);
    CHECK(pool.level(0).count == 1);
    pool.pass(10min);
    CHECK(pool.level(0).count == 0);
    pool.pass(20s);
    pool.settle();
    pool.pass(20s);
    pool.settle();
    CHECK(pool.at(0).own_count() == 0);  // nothing is kept of what is over
    CHECK(pool.at(0).kept_count() + pool.at(1).kept_count() == 0);
}

TEST_CASE("beyond its bounds a node counts nothing new, and says so") {
    CountCore core(node(0), {.own_max = 2});
    const CountCore::Now now{WallTime{1h}, BootTime{1h}};
    for (const char* name : {"a", "b", "c", "c"}) core.add({name, 1h}, 1, now);
    CHECK(core.dropped() == 2);
    CHECK(core.look({"a", 1h}, now).count == 1);
    CHECK(core.look({"c", 1h}, now).degraded);
}

TEST_CASE("slots of another clock: a little ahead counts, far off does not") {
    SlidingCount count(12s);
    const WallTime now{1'000s};
    count.merge({{1'000, 1}, {1'005, 2}, {1'013, 4}, {988, 8}, {989, 16}}, now);
    CHECK(count.total(now) == 19);
    count.merge({{1'000, 1}, {1'000, 3}}, now);
    CHECK(count.total(now) == 21);
    count.merge({{1'001, ~0ull}}, now);
    CHECK(count.total(now) == 21 + SlidingCount::slot_count_max);
}
