#include "replication/core/owner_fsm.h"

#include <doctest/doctest.h>

#include <chrono>

using namespace posthorse;
using namespace posthorse::replication;
using namespace std::chrono_literals;

namespace {

NodeId node(std::uint8_t number) {
    NodeId id;
    id.bytes.fill(number);
    return id;
}

const BootTime start{1h};

OwnerFsm with_holders(std::vector<NodeId> holders) {
    return OwnerFsm({.silence = 1s, .give_up = 60s}, holders, Sequence{0});
}

std::vector<Sequence> done(OwnerFsm::Effects effects) {
    return effects.done;
}

}  // namespace

TEST_CASE("sequences go on from the last one, without a gap") {
    OwnerFsm fsm({.silence = 1s, .give_up = 60s}, {}, Sequence{41});
    CHECK(fsm.begin(Need::durable, start) == Sequence{42});
    CHECK(fsm.begin(Need::local, start) == Sequence{43});
}

TEST_CASE("alone, an operation is done when the local store says so") {
    auto fsm = with_holders({});
    const auto first = fsm.begin(Need::durable, start);
    OwnerFsm::Effects out;
    fsm.local_done(first, out);
    CHECK(done(out) == std::vector{first});
    CHECK(fsm.under_way() == 0);
}

TEST_CASE("a durable operation waits for every holder, in either order") {
    for (const bool local_first : {true, false}) {
        CAPTURE(local_first);
        auto fsm = with_holders({node(1), node(2)});
        const auto commit = fsm.begin(Need::durable, start);
        OwnerFsm::Effects out;
        if (local_first) fsm.local_done(commit, out);
        fsm.acknowledged(node(1), commit, commit, out);
        CHECK(out.done.empty());
        fsm.acknowledged(node(2), commit, Sequence{0}, out);  // received is not durable
        CHECK(out.done.empty());
        fsm.acknowledged(node(2), commit, commit, out);
        if (!local_first) {
            CHECK(out.done.empty());
            fsm.local_done(commit, out);
        }
        CHECK(done(out) == std::vector{commit});
    }
}

TEST_CASE("an intent needs only to be received") {
    auto fsm = with_holders({node(1)});
    const auto intent = fsm.begin(Need::received, start);
    OwnerFsm::Effects out;
    fsm.local_done(intent, out);
    CHECK(out.done.empty());
    fsm.acknowledged(node(1), intent, Sequence{0}, out);
    CHECK(done(out) == std::vector{intent});
}

TEST_CASE("a body chunk waits for nobody else: the commit behind it covers it") {
    auto fsm = with_holders({node(1)});
    const auto chunk = fsm.begin(Need::local, start);
    OwnerFsm::Effects out;
    fsm.local_done(chunk, out);
    CHECK(done(out) == std::vector{chunk});
}

TEST_CASE("one acknowledgement covers everything before it, and an old one takes nothing back") {
    auto fsm = with_holders({node(1)});
    OwnerFsm::Effects out;
    std::vector<Sequence> all;
    for (int i = 0; i < 3; ++i) {
        all.push_back(fsm.begin(Need::durable, start));
        fsm.local_done(all.back(), out);
    }
    fsm.acknowledged(node(1), all[2], all[1], out);
    CHECK(done(out) == std::vector{all[0], all[1]});
    out = {};
    fsm.acknowledged(node(1), all[0], all[0], out);
    CHECK(out.done.empty());
    fsm.acknowledged(node(1), all[2], all[2], out);
    CHECK(done(out) == std::vector{all[2]});
}

TEST_CASE("a stranger's acknowledgement does not count") {
    auto fsm = with_holders({node(1)});
    const auto commit = fsm.begin(Need::durable, start);
    OwnerFsm::Effects out;
    fsm.local_done(commit, out);
    fsm.acknowledged(node(9), commit, commit, out);
    CHECK(out.done.empty());
}

TEST_CASE("a silent holder is reported, and only a narrower set releases what waits for it") {
    auto fsm = with_holders({node(1), node(2)});
    const auto commit = fsm.begin(Need::durable, start);
    OwnerFsm::Effects out;
    fsm.local_done(commit, out);
    fsm.acknowledged(node(1), commit, commit, out);
    fsm.tick(start + 999ms, out);
    CHECK(out.silent.empty());
    fsm.tick(start + 1s, out);
    CHECK(out.silent == std::vector{node(2)});
    out = {};
    fsm.tick(start + 1900ms, out);
    CHECK(out.silent.empty());
    fsm.tick(start + 2s, out);
    CHECK(out.silent == std::vector{node(2)});  // the pool may not have agreed yet: asked again
    CHECK(out.done.empty());
    fsm.bound({node(1)}, out);
    CHECK(done(out) == std::vector{commit});
}

TEST_CASE("a holder that owes nothing is never silent") {
    auto fsm = with_holders({node(1)});
    OwnerFsm::Effects out;
    fsm.local_done(fsm.begin(Need::local, start), out);
    fsm.tick(start + 1h, out);
    CHECK(out.silent.empty());
}

TEST_CASE("what nobody confirms becomes overdue, once, and late news of it is ignored") {
    auto fsm = with_holders({node(1)});
    const auto commit = fsm.begin(Need::durable, start);
    OwnerFsm::Effects out;
    fsm.local_done(commit, out);
    fsm.tick(start + 60s, out);
    CHECK(out.overdue == std::vector{commit});
    out = {};
    fsm.acknowledged(node(1), commit, commit, out);
    fsm.tick(start + 120s, out);
    CHECK(out.done.empty());
    CHECK(out.overdue.empty());
}

TEST_CASE("who is in a hurry gives up sooner, also what is under way") {
    auto fsm = with_holders({node(1)});
    const auto commit = fsm.begin(Need::durable, start);
    OwnerFsm::Effects out;
    fsm.local_done(commit, out);
    fsm.tick(start + 2s, out);
    CHECK(out.overdue.empty());
    fsm.hasten(1s);
    fsm.tick(start + 2s, out);
    CHECK(out.overdue == std::vector{commit});
}

TEST_CASE("what the local store refused is not waited for") {
    auto fsm = with_holders({node(1)});
    const auto commit = fsm.begin(Need::durable, start);
    fsm.local_failed(commit);
    OwnerFsm::Effects out;
    fsm.acknowledged(node(1), commit, commit, out);
    fsm.tick(start + 1h, out);
    CHECK(out.done.empty());
    CHECK(out.overdue.empty());
    CHECK(out.silent.empty());
}
