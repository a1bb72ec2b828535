#include "replication/core/pool_state.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;

namespace {

const NodeId one = test_node(1);
const NodeId two = test_node(2);
const NodeId three = test_node(3);
const PartitionId first{1};

Ended end_of(std::uint8_t number) {
    return {test_node(number), first_start(number)};
}

PoolState after(const PoolState& state, const Change& change) {
    auto next = changed(state, change);
    REQUIRE_MESSAGE(next.has_value(), next.error().what);
    return *std::move(next);
}

void check_refused(const PoolState& state, const Change& change) {
    const auto next = changed(state, change);
    REQUIRE_FALSE(next.has_value());
    CHECK(next.error().code == Errc::conflict);
    CHECK_FALSE(next.error().what.empty());
}

PoolState evicted(const PoolState& state, const std::vector<std::uint8_t>& numbers) {
    Evict evict;
    for (const auto number : numbers) evict.ended.push_back(end_of(number));
    return after(state, evict);
}

}  // namespace

// ------------------------------------------------------------------ who lives

TEST_CASE("members stay in the order of their ids, however they come") {
    PoolState pool;
    for (const std::uint8_t number : {3, 1, 2}) pool = after(pool, start_of(number, 1, ""));
    REQUIRE(pool.members.size() == 3);
    CHECK(pool.members[0].id == one);
    CHECK(pool.members[1].id == two);
    CHECK(pool.members[2].id == three);
    CHECK(pool.is_live(two));
    CHECK(pool.is_live(two, first_start(2)));
    CHECK_FALSE(pool.is_live(two, {1, 99}));
    CHECK_FALSE(pool.is_live(test_node(9)));
}

TEST_CASE("a start never ends an earlier one, and no number is used twice") {
    const auto pool = pool_of(2);
    check_refused(pool, start_of(1, 2, ""));
    const auto dead = evicted(pool, {1});
    check_refused(dead, start_of(1, 1, ""));
    check_refused(dead, start_of(1, 0, ""));
    CHECK(after(dead, start_of(1, 2, "")).is_live(one, {2, 1}));
    check_refused(pool, start_of(9, 0, ""));  // a new member's first start has number one
}

TEST_CASE("a start brings the node's newest facts") {
    const auto pool = evicted(pool_of(2), {1});
    CHECK(after(pool, start_of(1, 2, "elsewhere")).member(one)->facts.zone == "elsewhere");
}

TEST_CASE("only the incarnation that lives can be ended, and else nothing is") {
    const auto pool = pool_of(3);
    check_refused(pool, Evict{{{one, {1, 99}}}, {}});
    check_refused(pool, Evict{{{test_node(9), {1, 9}}}, {}});
    check_refused(pool, Leave{{one, {2, 1}}});
    check_refused(evicted(pool, {1}), Evict{{end_of(1)}, {}});
    check_refused(pool, Evict{{end_of(2), {one, {1, 99}}}, {}});
}

TEST_CASE("what a dead node owned goes to a live node of the set, which loses the dead one") {
    auto pool = with_partition(pool_of(3), {1, 2});
    pool = with_partition(pool, {2, 1});  // only a holder dies
    pool = with_partition(pool, {2, 3});  // untouched
    const auto next = evicted(pool, {1});
    const auto& taken = *next.find(first);
    CHECK(taken.owner == two);
    CHECK(taken.in_sync == std::vector{two});
    CHECK(taken.epoch == Epoch{2});
    CHECK(next.find({2})->in_sync == std::vector{two});
    CHECK(next.find({2})->epoch == Epoch{2});
    CHECK(*next.find({3}) == *pool.find({3}));
    CHECK_FALSE(next.is_live(one));
    REQUIRE(next.member(one) != nullptr);  // it may come back
}

TEST_CASE("a dead node's partitions spread over the siblings that hold them") {
    auto pool = pool_of(3);
    for (int i = 0; i < 4; ++i) pool = with_partition(pool, {1, 2, 3});
    const auto next = evicted(pool, {1});
    const auto owned = [&](const NodeId& node) {
        return std::count_if(next.partitions.begin(), next.partitions.end(),
                             [&](const auto& partition) { return partition.owner == node; });
    };
    CHECK(owned(two) == 2);
    CHECK(owned(three) == 2);
}

TEST_CASE("a partition of which nobody lives waits as it is, for the first to come back") {
    const auto pool = evicted(with_partition(pool_of(3), {1, 2}), {1, 2});
    const auto& waiting = *pool.find(first);
    CHECK(waiting.owner == std::nullopt);
    CHECK(waiting.in_sync == std::vector{one, two});
    CHECK(waiting.epoch == Epoch{2});
    const auto back = after(pool, start_of(2, 2, ""));
    CHECK(back.find(first)->owner == two);
    CHECK(back.find(first)->in_sync == std::vector{two});
    CHECK(back.find(first)->epoch == Epoch{3});
}

TEST_CASE("the dead stay in a set of which only silent nodes live") {
    const auto pool = with_partition(with_partition(pool_of(3), {1, 2}), {1, 2, 3});
    const auto half = after(pool, Evict{{end_of(1)}, {}, {two}});
    CHECK(half.find(first)->owner == two);
    CHECK(half.find(first)->in_sync == std::vector{one, two});
    CHECK(half.find(first)->epoch == Epoch{2});
    CHECK(half.find({2})->in_sync == std::vector{two, three});
    SUBCASE("who was alive all the same drops them") {
        const auto dropped = after(half, DropHolder{first, {2}, one});
        CHECK(dropped.find(first)->in_sync == std::vector{two});
    }
    SUBCASE("and when that one was dead too, the first to come back goes on") {
        const auto dead = evicted(half, {2});
        CHECK(dead.find(first)->owner == std::nullopt);
        CHECK(dead.find(first)->in_sync == std::vector{one, two});
        CHECK(after(dead, start_of(1, 2, "")).find(first)->owner == one);
    }
    SUBCASE("what befalls others changes nothing of it") {
        CHECK(*evicted(half, {3}).find(first) == *half.find(first));
    }
}

TEST_CASE("one that lived all along and came into the set late does not lose it to the dead") {
    const auto pool = evicted(with_partition(pool_of(3), {1, 2}), {1});
    const auto back = after(pool, start_of(1, 2, ""));
    CHECK(back.find(first)->owner == two);
    CHECK_FALSE(back.find(first)->holds(one));  // it resynchronises first
    CHECK(back.find(first)->epoch == pool.find(first)->epoch);
}

TEST_CASE("who starts in the change that ends its earlier start keeps its places") {
    auto pool = with_partition(pool_of(2), {1, 2});
    pool = with_partition(pool, {2, 1});
    const auto next = after(pool, Evict{{end_of(1)}, {start_of(1, 2, "")}});
    CHECK(next.is_live(one, {2, 1}));
    CHECK(next.find(first)->owner == one);
    CHECK(next.find(first)->in_sync == pool.find(first)->in_sync);
    CHECK(next.find(first)->epoch == Epoch{2});  // another incarnation of the owner
    CHECK(*next.find({2}) == *pool.find({2}));
    check_refused(pool, Evict{{end_of(1)}, {start_of(1, 1, "")}});
}

TEST_CASE("who leaves is forgotten, but not while only it holds something") {
    const auto pool = with_partition(pool_of(2), {1, 2});
    const auto left = after(pool, Leave{end_of(1)});
    CHECK(left.member(one) == nullptr);
    CHECK(left.find(first)->owner == two);
    const auto last = after(left, Leave{end_of(2)});
    REQUIRE(last.member(two) != nullptr);
    CHECK_FALSE(last.is_live(two));
    CHECK(last.find(first)->owner == std::nullopt);
    CHECK(last.find(first)->in_sync == std::vector{two});
}

TEST_CASE("who was evicted while it left is forgotten too") {
    const auto dead = evicted(with_partition(pool_of(2), {1, 2}), {1});
    CHECK(after(dead, Leave{end_of(1)}).member(one) == nullptr);
    check_refused(dead, Leave{{one, {2, 1}}});
}

TEST_CASE("an operator removes the dead only, and gives up what only they hold on demand only") {
    auto pool = with_partition(pool_of(3), {1});
    pool = with_partition(pool, {1, 2});
    pool = with_partition(pool, {3});
    check_refused(pool, RemoveMember{one});
    check_refused(pool, RemoveMember{test_node(9)});
    const auto dead = evicted(pool, {1, 2});  // partition 2 waits for both
    check_refused(dead, RemoveMember{one});
    const auto removed = after(dead, RemoveMember{one, Lost::accept});
    CHECK(removed.member(one) == nullptr);
    const auto& given =
        *removed.find(first);  // to all others, who may have had a copy, dead or not
    CHECK(given.in_sync == std::vector{two, test_node(3)});
    CHECK(given.owner == test_node(3));
    CHECK((given.unvouched && given.phase == PartitionPhase::closing));
    CHECK(given.epoch > dead.find(first)->epoch);
    const auto vouched = after(removed, Vouch{first, given.epoch});
    CHECK_FALSE(vouched.find(first)->unvouched);
    CHECK(vouched.find(first)->epoch > given.epoch);
    check_refused(vouched, Vouch{first, given.epoch});
    // Until then nobody is dropped for being dead: its copy may be the furthest.
    const auto all_dead = evicted(removed, {3});
    CHECK(all_dead.find(first)->in_sync == given.in_sync);
    CHECK_FALSE(all_dead.find(first)->owner.has_value());
    const auto forgotten = after(removed, RemoveMember{two, Lost::accept});
    CHECK(forgotten.find(first)->in_sync == std::vector{test_node(3)});
    CHECK(removed.find({2})->in_sync == std::vector{two});
    CHECK(removed.find({2})->epoch > dead.find({2})->epoch);
    CHECK(*removed.find({3}) == *dead.find({3}));
}

TEST_CASE("draining is set, taken back, and not set on a stranger") {
    const auto pool = after(pool_of(1), SetDraining{one});
    CHECK(pool.member(one)->draining);
    CHECK_FALSE(after(pool, SetDraining{one, false}).member(one)->draining);
    check_refused(pool, SetDraining{two});
}

TEST_CASE("who drained in order to leave serves again when it comes back") {
    auto pool = with_partition(pool_of(1), {1});
    pool = after(pool, SetDraining{one});
    pool = after(pool, Leave{end_of(1)});
    REQUIRE(pool.member(one) != nullptr);  // it holds the only copy
    CHECK_FALSE(after(pool, start_of(1, 2, "")).member(one)->draining);
}

// ------------------------------------------------------------------ who holds what

TEST_CASE("what names another epoch than the partition's came too late") {
    const auto pool = with_partition(pool_of(3), {1, 2});
    for (const Epoch stale : {Epoch{0}, Epoch{2}}) {
        check_refused(pool, DropHolder{first, stale, two});
        check_refused(pool, AddHolder{first, stale, three});
        check_refused(pool, HandOver{first, stale, two});
        check_refused(after(pool, ClosePartition{first}), RetirePartition{first, stale});
    }
    check_refused(pool, DropHolder{{9}, {1}, two});
}

TEST_CASE("changes of a set, and of its owner") {
    const auto pool = with_partition(pool_of(3), {1, 2});
    const auto dead_three = evicted(pool, {3});
    struct Row {
        const char* what;
        const PoolState& before;
        Change change;
        std::vector<NodeId> in_sync;  // empty: refused
        NodeId owner;
    };
    const Row rows[] = {
        {"an owner drops another", pool, DropHolder{first, {1}, two}, {one}, one},
        {"an owner does not drop itself", pool, DropHolder{first, {1}, one}, {}, {}},
        {"a widening is called off", pool, DropHolder{first, {1}, three}, {one, two}, one},
        {"a live node is added", pool, AddHolder{first, {1}, three}, {one, two, three}, one},
        {"who is in the set is not added", pool, AddHolder{first, {1}, two}, {}, {}},
        {"a dead node is not added", dead_three, AddHolder{first, {1}, three}, {}, {}},
        {"a holder takes over", pool, HandOver{first, {1}, two}, {one, two}, two},
        {"the owner does not take over from itself", pool, HandOver{first, {1}, one}, {}, {}},
        {"who lacks something does not take over", pool, HandOver{first, {1}, three}, {}, {}},
        {"a dead node does not take over", dead_three, HandOver{first, {1}, three}, {}, {}},
    };
    for (const auto& row : rows) {
        CAPTURE(row.what);
        if (row.in_sync.empty()) {
            check_refused(row.before, row.change);
            continue;
        }
        const auto next = after(row.before, row.change);
        CHECK(next.find(first)->in_sync == row.in_sync);
        CHECK(next.find(first)->owner == row.owner);
        CHECK(next.find(first)->epoch == Epoch{2});
    }
}

TEST_CASE("a partition without an owner keeps its set: nobody may ask for another") {
    auto pool = evicted(with_partition(pool_of(3), {1}), {1});
    const auto epoch = pool.find(first)->epoch;
    check_refused(pool, DropHolder{first, epoch, one});  // the set would be empty
    check_refused(pool, AddHolder{first, epoch, two});
    check_refused(after(pool, ClosePartition{first}), RetirePartition{first, epoch});
}

TEST_CASE("a solo partition is widened only once it is closed") {
    const auto pool = with_partition(pool_of(2), {1}, true);
    check_refused(pool, AddHolder{first, {1}, two});
    CHECK(after(after(pool, ClosePartition{first}), AddHolder{first, {1}, two})
              .find(first)
              ->holds(two));
}

TEST_CASE("an open partition is not retired, and its number is never used again") {
    auto pool = with_partition(pool_of(1), {1});
    check_refused(pool, RetirePartition{first, {1}});
    pool = after(pool, ClosePartition{first});
    CHECK(pool.find(first)->phase == PartitionPhase::closing);
    pool = after(pool, RetirePartition{first, {1}});
    CHECK(pool.partitions.empty());
    pool = with_partition(pool, {1});
    CHECK(pool.partitions.front().id == PartitionId{2});
}

TEST_CASE("partitions open with live holders only") {
    const auto pool = evicted(pool_of(2), {2});
    check_refused(pool, OpenPartition{{one, two}});
    check_refused(pool, ClosePartition{{9}});
}

TEST_CASE("a message needs a copy") {
    CHECK(after(pool_of(1), SetCopies{3}).settings.copies == 3);
    check_refused(pool_of(1), SetCopies{0});
}

TEST_CASE("a pool goes to another control plane when all can follow") {
    auto pool = pool_of(3);
    check_refused(pool, SetControl{PoolControl::embedded});
    pool.members[1].facts.etcd = false;
    check_refused(pool, SetControl{PoolControl::etcd});
    pool.members[1].facts.etcd = true;
    const auto there = after(pool, SetControl{PoolControl::etcd});
    CHECK(there.control == PoolControl::etcd);
    CHECK(after(there, SetControl{PoolControl::embedded}) == pool);
}

TEST_CASE("the pool understands what its least member understands") {
    auto pool = pool_of(2);
    CHECK(PoolState{}.features() == 0);
    pool.members[0].facts.features = 7;
    pool.members[1].facts.features = 5;
    CHECK(pool.features() == 5);
}

TEST_CASE("what only an owner may ask for names its partition") {
    const PartitionId id{7};
    CHECK(partition_of(DropHolder{id, {1}, one}) == id);
    CHECK(partition_of(AddHolder{id, {1}, one}) == id);
    CHECK(partition_of(HandOver{id, {1}, one}) == id);
    CHECK(partition_of(RetirePartition{id, {1}}) == id);
    CHECK(partition_of(ClosePartition{id}) == id);
    CHECK(partition_of(OpenPartition{{one}}) == std::nullopt);
    CHECK(partition_of(SetDraining{one}) == std::nullopt);
}

// ------------------------------------------------------------------ whatever happens

namespace {

class Generator {
public:
    explicit Generator(std::uint32_t seed) : random_(seed) {}

    std::size_t below(std::size_t limit) { return random_() % limit; }
    std::uint8_t number() { return static_cast<std::uint8_t>(1 + below(6)); }
    Start start(const PoolState& state) {
        const auto number_of = number();
        const auto* member = state.member(test_node(number_of));
        const auto counter = member == nullptr ? 1 : member->incarnation.counter + below(3);
        return start_of(number_of, counter, "");
    }
    Ended ended(const PoolState& state) {
        const auto node = test_node(number());
        const auto* member = state.member(node);
        return {node, member == nullptr ? Incarnation{} : member->incarnation};
    }
    Evict evict(const PoolState& state) {
        Evict evict;
        for (std::size_t i = below(3); i < 3; ++i) {
            evict.ended.push_back(ended(state));
            const auto& [node, incarnation] = evict.ended.back();
            if (below(2) == 0)
                evict.starts.push_back({node, {incarnation.counter + 1, below(9)}, {}});
        }
        return evict;
    }
    PartitionState partition(const PoolState& state) {
        if (state.partitions.empty()) return {};
        return state.partitions[below(state.partitions.size())];
    }
    OpenPartition open() {
        std::vector<NodeId> nodes;
        for (std::size_t i = 0; i < 1 + below(3); ++i) {
            const auto node = test_node(number());
            if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
        }
        const bool solo = nodes.size() == 1 && below(2) == 0;
        return {std::move(nodes), solo};
    }
    Change change(const PoolState& state) {
        const auto some = partition(state);
        const auto node = test_node(number());
        switch (below(12)) {
            case 0:
            case 1:
                return start(state);
            case 2:
                return evict(state);
            case 3:
                return Leave{ended(state)};
            case 4:
                return RemoveMember{node, below(2) == 0 ? Lost::accept : Lost::refuse};
            case 5:
                return SetDraining{node, below(2) == 0};
            case 6:
                return DropHolder{some.id, some.epoch, node};
            case 7:
                return AddHolder{some.id, some.epoch, node};
            case 8:
                return HandOver{some.id, some.epoch, node};
            case 9:
                return RetirePartition{some.id, some.epoch};
            case 10:
                return ClosePartition{some.id};
            default:
                return open();
        }
    }

private:
    std::mt19937 random_;
};

template <class T, class Id>
bool strictly_sorted(const std::vector<T>& things, Id id) {
    return std::adjacent_find(things.begin(), things.end(), [&](const T& a, const T& b) {
               return !(id(a) < id(b));
           }) == things.end();
}

void check_shape(const PoolState& state) {
    CHECK(strictly_sorted(state.members, [](const Member& member) { return member.id; }));
    CHECK(
        strictly_sorted(state.partitions, [](const PartitionState& one_of) { return one_of.id; }));
    for (const auto& partition : state.partitions) {
        CHECK(partition.id < state.next_partition);
        CHECK_FALSE(partition.in_sync.empty());
        const std::set<NodeId> distinct(partition.in_sync.begin(), partition.in_sync.end());
        CHECK(distinct.size() == partition.in_sync.size());
        bool anybody_lives = false;
        for (const auto& node : partition.in_sync) {
            CHECK(state.member(node) != nullptr);
            anybody_lives = anybody_lives || state.is_live(node);
        }
        CHECK(partition.owner.has_value() == anybody_lives);
        if (partition.owner) {
            CHECK(partition.holds(*partition.owner));
            CHECK(state.is_live(*partition.owner));
        }
        if (partition.solo && partition.phase == PartitionPhase::open)
            CHECK(partition.in_sync.size() == 1);
    }
}

// A widening that never came true: nothing changes but the epoch.
bool calls_off(const PoolState& before, const Change& change, PartitionId id) {
    const auto* drop = std::get_if<DropHolder>(&change);
    return drop != nullptr && drop->partition == id && !before.find(id)->holds(drop->holder);
}

void check_step(const PoolState& before, const Change& change, const PoolState& next) {
    CHECK(next.next_partition >= before.next_partition);
    for (const auto& now : next.partitions) {
        const auto* then = before.find(now.id);
        if (then == nullptr) {
            CHECK(now.id >= before.next_partition);  // a number is never used again
            continue;
        }
        const bool other_start =
            now.owner && then->owner == now.owner &&
            before.member(*now.owner)->incarnation != next.member(*now.owner)->incarnation;
        if (now.owner != then->owner || now.in_sync != then->in_sync || other_start ||
            calls_off(before, change, now.id))
            CHECK(now.epoch > then->epoch);
        else
            CHECK(now.epoch == then->epoch);
    }
    for (const auto& member : next.members) {
        const auto* then = before.member(member.id);
        if (then != nullptr) CHECK(member.incarnation.counter >= then->incarnation.counter);
    }
}

}  // namespace

TEST_CASE("random legal changes keep what must hold of every value") {
    std::size_t legal = 0;
    for (std::uint32_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        Generator generator(seed);
        PoolState state;
        for (int step = 0; step < 400; ++step) {
            CAPTURE(step);
            const auto change = generator.change(state);
            const auto next = changed(state, change);
            if (!next) continue;
            ++legal;
            check_step(state, change, *next);
            check_shape(*next);
            state = *next;
        }
    }
    CHECK(legal > 4000);  // the generator is worth its time
}

// ------------------------------------------------------------------ bounds

TEST_CASE("what would be more than peers take is refused: a member, a partition") {
    PoolState pool = pool_of(1);
    NodeId next = two;
    while (pool.members.size() < members_max) {
        next.bytes[0] = static_cast<std::uint8_t>(pool.members.size() / 200 + 3);
        next.bytes[1] = static_cast<std::uint8_t>(pool.members.size() % 200);
        pool = changed(std::move(pool), Start{next, {1, 1}, {}}).value();
    }
    check_refused(pool, start_of(255, 1, ""));
    CHECK(changed(evicted(pool, {1}), start_of(1, 2, "")).has_value());

    const OpenPartition open{{one}};
    while (pool.partitions.size() < partitions_max) pool = changed(std::move(pool), open).value();
    check_refused(pool, open);
    pool = after(pool, ClosePartition{first});
    pool = after(pool, RetirePartition{first, {1}});
    CHECK(changed(pool, open).has_value());
}
