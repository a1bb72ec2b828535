#include "tests/unit/replication/edge/control_conformance.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/replication/edge/control_rigs.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

TYPE_TO_STRING(EmbeddedRig);
TYPE_TO_STRING(EtcdRig);

// Every case runs for each of these.
#define CONTROL_CASE(name) \
    TEST_CASE_TEMPLATE("every control plane: " name, Rig, EmbeddedRig, EtcdRig)

namespace {

// One that `number` owns and others hold too.
const PartitionState* shared_partition(ControlRig& rig, int number) {
    for (const auto& partition : rig.control(number).read().partitions)
        if (partition.owner == rig.id(number) && partition.in_sync.size() > 1) return &partition;
    return nullptr;
}

NodeId another_holder(const PartitionState& partition) {
    for (const auto& node : partition.in_sync)
        if (node != partition.owner) return node;
    FAIL("nobody else holds it");
    return {};
}

// The pool may change a partition just before: then it is asked again, of what it is now.
template <class Make>
PartitionState propose_of_shared(ControlRig& rig, int number, Make make) {
    for (int attempt = 0; attempt < 20; ++attempt) {
        REQUIRE(rig.advance_until([&] { return shared_partition(rig, number) != nullptr; }));
        const auto partition = *shared_partition(rig, number);
        const auto done = rig.propose(number, make(partition));
        if (done) return partition;
        CHECK_MESSAGE(done.error().code == Errc::conflict, done.error().what);
    }
    FAIL("the partitions never come to rest");
    return {};
}

bool all_know(ControlRig& rig, std::initializer_list<int> nodes, PoolVersion version) {
    return std::all_of(nodes.begin(), nodes.end(),
                       [&](int number) { return rig.value(number).version >= version; });
}

// Of `number`, at `other`.
std::size_t owned_at(ControlRig& rig, const NodeId& node, int other) {
    const auto& partitions = rig.value(other).partitions;
    return static_cast<std::size_t>(
        std::count_if(partitions.begin(), partitions.end(),
                      [&](const PartitionState& one) { return one.owner == node; }));
}

// Nothing that others hold, too, is its any more.
bool shared_went_over(ControlRig& rig, const NodeId& node, int other) {
    const auto& value = rig.value(other);
    return std::none_of(value.partitions.begin(), value.partitions.end(), [&](const auto& one) {
        return one.owner == node && one.in_sync.size() > 1;
    });
}

// When its lease ends, as it is now.
BootTime lease_end(ControlRig& rig, int number) {
    auto end = rig.now();
    while (rig.control(number).lease_live(end, Duration{})) end += 10ms;
    return end;
}

}  // namespace

CONTROL_CASE("a node alone begins a pool, owns all of it under a lease, and is a member") {
    Rig rig;
    rig.make_pool(1);
    CHECK(rig.started(1));
    CHECK(rig.value(1).members.size() == 1);
    CHECK(rig.owned(1) == rig.value(1).partitions.size());
    CHECK(rig.control(1).status().phase == "member");
    CHECK(rig.advance_until([&] { return rig.control(1).leased(rig.now()); }));
    CHECK(rig.control(1).incarnation().counter == 1);
}

CONTROL_CASE("nothing begins before all that are expected are there") {
    Rig rig;
    for (const int number : {1, 2, 3}) rig.add(number, 3);
    rig.start(1);
    rig.start(2);
    const auto a_while = rig.now() + 3s;
    rig.advance_until([&] { return rig.now() >= a_while; });
    CHECK_FALSE(rig.started(1));
    CHECK(rig.value(1).members.empty());
    rig.start(3);
    REQUIRE(rig.advance_until([&] { return rig.acts(1) && rig.acts(2) && rig.acts(3); }));
    CHECK(rig.value(1).pool_id == rig.value(3).pool_id);
}

CONTROL_CASE("a pool of three shares its partitions, and all know one value") {
    Rig rig;
    rig.make_pool(3);
    CHECK(rig.value(1).pool_id == rig.value(2).pool_id);
    CHECK(rig.value(1).pool_id == rig.value(3).pool_id);
    REQUIRE(rig.advance_until(
        [&] { return rig.value(1) == rig.value(2) && rig.value(1) == rig.value(3); }));
    CHECK(rig.value(1).members.size() == 3);
}

CONTROL_CASE("a newcomer joins a pool that runs, and gets partitions of its own") {
    Rig rig;
    rig.make_pool(3);
    const auto pool = rig.value(1).pool_id;
    rig.add(4, 3);
    rig.start(4);
    REQUIRE(rig.advance_until([&] { return rig.acts(4) && rig.owned(4) > 0; }));
    CHECK(rig.value(4).pool_id == pool);
    CHECK(rig.value(4).members.size() == 4);
}

CONTROL_CASE("only its owner changes a partition, and only in the epoch that it is in") {
    Rig rig;
    rig.make_pool(3);
    const auto before = propose_of_shared(rig, 1, [](const PartitionState& partition) {
        return DropHolder{partition.id, partition.epoch, another_holder(partition)};
    });
    const auto holder = another_holder(before);
    const auto* after = rig.value(1).find(before.id);
    REQUIRE(after != nullptr);
    CHECK(after->epoch > before.epoch);
    CHECK_FALSE(after->holds(holder));

    const auto old = rig.propose(1, AddHolder{before.id, before.epoch, holder});
    REQUIRE(old.has_error());
    CHECK(old.error().code == Errc::conflict);

    REQUIRE(rig.advance_until([&] { return all_know(rig, {2}, rig.value(1).version); }));
    const auto foreign = rig.propose(2, AddHolder{before.id, after->epoch, holder});
    REQUIRE(foreign.has_error());
    CHECK(foreign.error().code == Errc::fenced);

    const auto added =
        rig.propose(1, AddHolder{before.id, rig.value(1).find(before.id)->epoch, holder});
    CHECK(added.has_value());
    CHECK(rig.value(1).find(before.id)->holds(holder));
}

CONTROL_CASE("an owner hands over to another holder, who owns it then") {
    Rig rig;
    rig.make_pool(3);
    const auto before = propose_of_shared(rig, 2, [](const PartitionState& partition) {
        return HandOver{partition.id, partition.epoch, another_holder(partition)};
    });
    const auto heir = another_holder(before);
    CHECK(rig.control(2).read().find(before.id)->owner == heir);
    for (const int number : {1, 3}) {
        if (rig.id(number) != heir) continue;
        REQUIRE(rig.advance_until(
            [&] { return rig.control(number).read().find(before.id)->owner == heir; }));
    }
}

CONTROL_CASE("a node that is silent loses its lease, then its partitions, and comes back anew") {
    Rig rig;
    rig.make_pool(3);
    const auto silent = rig.id(2);
    const auto before = rig.control(2).incarnation();
    REQUIRE(rig.advance_until([&] { return shared_partition(rig, 2) != nullptr; }));
    rig.freeze(2);
    REQUIRE(rig.advance_until(
        [&] { return !rig.value(1).is_live(silent) && owned_at(rig, silent, 1) == 0; }));
    CHECK_FALSE(rig.control(2).lease_live(rig.now(), Duration{}));
    CHECK(rig.acts(1));
    CHECK(rig.acts(3));
    rig.thaw(2);
    REQUIRE(rig.advance_until([&] { return rig.acts(2) && rig.owned(2) > 0; }));
    CHECK(rig.id(2) == silent);
    CHECK(rig.control(2).incarnation().counter > before.counter);
    CHECK(rig.stranger(2) == "");
}

CONTROL_CASE("a node that is cut off stops by itself") {
    Rig rig;
    rig.make_pool(3);
    const auto cut = rig.id(3);
    rig.cut_off(3);
    REQUIRE(rig.advance_until([&] { return !rig.control(3).lease_live(rig.now(), Duration{}); }));
    REQUIRE(rig.advance_until([&] { return !rig.value(1).is_live(cut); }));
    CHECK(rig.acts(1));
    rig.let_through(3);
    REQUIRE(rig.advance_until([&] { return rig.acts(3) && rig.owned(3) > 0; }));
    CHECK(rig.id(3) == cut);
    CHECK(rig.stranger(3) == "");
}

CONTROL_CASE("a node whose disk hangs holds nothing up") {
    Rig rig;
    rig.make_pool(3);
    const auto hung = rig.id(2);
    rig.hang_store(2);
    REQUIRE(rig.advance_until([&] { return owned_at(rig, hung, 1) == 0; }));
    CHECK_FALSE(rig.control(2).lease_live(rig.now(), Duration{}));
    rig.mend_store(2);
    REQUIRE(rig.advance_until([&] { return rig.acts(2) && rig.owned(2) > 0; }));
    CHECK(rig.stranger(2) == "");
}

CONTROL_CASE("a restart is another incarnation, which does not end the one before") {
    Rig rig;
    rig.make_pool(3);
    const auto before = rig.control(2).incarnation();
    const auto self = rig.id(2);
    const auto lease_ends = lease_end(rig, 2);
    rig.stop(2);
    rig.start(2);
    REQUIRE(rig.advance_until([&] { return rig.acts(2); }));
    CHECK(rig.now() >= lease_ends);
    CHECK(rig.id(2) == self);
    CHECK(rig.control(2).incarnation().counter > before.counter);
    CHECK(rig.value(2).members.size() == 3);
    CHECK(rig.stranger(2) == "");
}

CONTROL_CASE("all are killed and come back to what they were") {
    Rig rig;
    rig.make_pool(3);
    const auto before = rig.value(1);
    for (const int number : {1, 2, 3}) rig.stop(number);
    for (const int number : {1, 2, 3}) rig.start(number);
    REQUIRE(rig.advance_until([&] { return rig.acts(1) && rig.acts(2) && rig.acts(3); }));
    CHECK(rig.value(1).pool_id == before.pool_id);
    CHECK(rig.value(1).incarnation == before.incarnation);
    CHECK(rig.value(1).members.size() == 3);
    CHECK(rig.value(1).version > before.version);
}

CONTROL_CASE("a node that leaves hands over at once, and owns nothing from then on") {
    Rig rig;
    rig.make_pool(3);
    const auto leaver = rig.id(3);
    rig.leave(3);
    CHECK(rig.owned(3) == 0);
    CHECK_FALSE(rig.acts(3));
    REQUIRE(rig.advance_until([&] { return rig.left(3); }));
    REQUIRE(rig.advance_until([&] { return !rig.value(1).is_live(leaver); }));
    CHECK(shared_went_over(rig, leaver, 1));
    CHECK(owned_at(rig, leaver, 1) == 0);
    // What only it holds is what nobody else can go on with.
    for (const auto partition : rig.control(3).left_with()) {
        const auto* listed = rig.value(1).find(partition);
        REQUIRE(listed != nullptr);
        CHECK(listed->in_sync == std::vector{leaver});
    }
    CHECK(rig.owned(3) == 0);
}

CONTROL_CASE("an old copy of a disk is a stranger's, and the others go on") {
    Rig rig;
    rig.make_pool(3);
    rig.stop(2);
    rig.add(9, 3);  // a shelf
    rig.copy_disk(2, 9);
    rig.start(2);
    REQUIRE(rig.advance_until([&] { return rig.acts(2); }));
    rig.stop(2);
    rig.copy_disk(9, 2);
    rig.start(2);
    REQUIRE(rig.advance_until([&] { return !rig.stranger(2).empty(); }));
    CHECK_FALSE(rig.acts(2));
    CHECK(rig.acts(1));
    CHECK(rig.acts(3));
}

CONTROL_CASE("a node that drains keeps what it has until it starts anew") {
    Rig rig;
    rig.make_pool(3);
    const auto drained = rig.id(2);
    CHECK(rig.propose(1, SetDraining{drained, true}).has_value());
    REQUIRE(rig.advance_until([&] { return rig.value(2).member(drained)->draining; }));
    CHECK(rig.acts(2));
    rig.stop(2);
    rig.start(2);
    REQUIRE(rig.advance_until([&] { return rig.acts(2); }));
    CHECK_FALSE(rig.value(2).member(drained)->draining);
}

CONTROL_CASE("a member that is dead is removed on demand") {
    Rig rig;
    rig.make_pool(3);
    const auto dead = rig.id(3);
    rig.stop(3);
    REQUIRE(rig.advance_until([&] { return !rig.value(1).is_live(dead); }));
    CHECK(rig.propose(1, RemoveMember{dead, Lost::accept}).has_value());
    CHECK(rig.value(1).member(dead) == nullptr);
    REQUIRE(rig.advance_until([&] { return rig.value(2).member(dead) == nullptr; }));
    for (const auto& partition : rig.value(2).partitions) CHECK_FALSE(partition.holds(dead));
}

CONTROL_CASE("members know each other's headers, and nobody else's") {
    Rig rig;
    rig.make_pool(3);
    REQUIRE(rig.advance_until([&] { return all_know(rig, {1, 2, 3}, rig.value(1).version); }));
    const auto header = rig.control(1).header(rig.id(2));
    CHECK(header.from == rig.id(1));
    CHECK(header.incarnation == rig.control(1).incarnation());
    CHECK(header.name == "n1");
    CHECK(rig.control(2).judge(header) == Refusal::none);
    const auto judged = [&](const std::function<void(Header&)>& alter) {
        auto altered = header;
        alter(altered);
        return rig.control(2).judge(altered);
    };
    CHECK(judged([&](Header& one) { one.to = rig.id(3); }) == Refusal::wrong_node);
    CHECK(judged([](Header& one) { one.pool_id = "another"; }) == Refusal::other_pool);
    CHECK(judged([](Header& one) { one.from.bytes[0] ^= 1; }) == Refusal::not_a_member);
    CHECK(judged([](Header& one) { one.incarnation.random ^= 1; }) == Refusal::stale_incarnation);
}

TEST_CASE("two owners of one partition are found, when there are two") {
    EmbeddedRig rig;
    rig.make_pool(1);
    rig.stop(1);
    rig.add(2, 0);
    rig.copy_disk(1, 2);  // of a pool of one: nobody else can tell
    rig.cut_off(2);
    rig.start(1);
    REQUIRE(rig.advance_until([&] { return rig.acts(1); }));
    CHECK(rig.two_owners() == "");
    rig.tolerate_two_owners();
    rig.start(2);
    REQUIRE(rig.advance_until([&] { return rig.acts(2); }));
    CHECK(rig.two_owners() != "");
}
