#include "replication/core/leader_duties.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <set>

#include "replication/core/placement.h"
#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

const BootTime start{1h};
constexpr Duration ttl = 10s;

NodeId id_of(int number) {
    return test_node(static_cast<std::uint8_t>(number));
}

LeaderDuties::From from(int number, std::uint64_t counter = 1, std::uint64_t random = 0) {
    return {id_of(number),
            {counter, random == 0 ? static_cast<std::uint64_t>(number) : random},
            "n" + std::to_string(number) + ":1"};
}

// Node 1 leads a pool of nodes that vote, accept and answer at once, but for the silent ones.
struct Leading {
    explicit Leading(int members, std::vector<int> voters = {1}, std::uint32_t copies = 2)
        : duties(id_of(1), copies),
          election(
              id_of(1), disk_of(voters, static_cast<std::size_t>(members)), {}, [] { return 0u; }) {
        election.begin(now);
        run(1500ms);
        REQUIRE(election.leads());
        publications.clear();
        sends.clear();
    }
    static Durable disk_of(const std::vector<int>& voters, std::size_t members) {
        Durable durable;
        durable.accepted.configuration = {test_nodes(voters)};
        durable.accepted.committed = durable.accepted.configuration;
        durable.accepted.value = std::make_shared<const PoolState>(pool_of(members));
        return durable;
    }

    void absorb(ElectionOutput out) {
        if (out.lost) duties.lost(sends);
        if (out.committed && duties.leases().leads()) duties.committed(election, now, sends);
        if (out.led) duties.led(election, now);
        if (out.accepted) publications.push_back(election.durable().accepted);
        election.written(election.durable());
        for (auto* some : {&out.now, &out.gated})
            for (auto& one : *some) queue.push_back(std::move(one));
    }
    // Every message to a node is answered as a node does that has it on its disk at once.
    void answer(const ElectionOutput::Send& one) {
        ElectionOutput out;
        if (one.to == id_of(1)) {
            if (const auto* join = std::get_if<Join>(&one.message))
                election.take(one.to, *join, now, out);
            if (const auto* accepted = std::get_if<Accepted>(&one.message))
                election.take(one.to, *accepted, now, out);
        } else if (silent.contains(one.to.bytes[0])) {
            return;
        } else if (const auto* pre_vote = std::get_if<PreVote>(&one.message)) {
            election.take(one.to, PreVoteReply{pre_vote->round, true, {}}, now, out);
        } else if (const auto* join = std::get_if<StartJoin>(&one.message)) {
            election.take(one.to, Join{join->term, {}, {}}, now, out);
        } else if (const auto* published = std::get_if<Published>(&one.message)) {
            has[one.to] = {published->term, published->version};
            if (withheld.contains(one.to.bytes[0])) return;
            election.take(one.to, Accepted{has[one.to]}, now, out);
        } else if (const auto* beat = std::get_if<Heartbeat>(&one.message)) {
            if (!beat->joined && !unjoined.contains(one.to.bytes[0]))
                election.take(one.to, Join{beat->term, {}, {}}, now, out);
            election.take(one.to,
                          HeartbeatReply{beat->term, beat->round,
                                         withheld.contains(one.to.bytes[0]) ? Place{} : has[one.to],
                                         knows_commits},
                          now, out);
        }
        absorb(std::move(out));
    }
    void settle() {
        do {
            while (!queue.empty()) {
                const auto one = std::move(queue.front());
                queue.pop_front();
                answer(one);
            }
            ElectionOutput out;
            duties.act(election, now, out, sends);
            absorb(std::move(out));
        } while (!queue.empty());
    }
    void run(Duration time) {
        for (const auto end = now + time; now < end;) {
            now += 50ms;
            for (const int number : renewing) renew(number);
            ElectionOutput out;
            election.tick(now, out);
            absorb(std::move(out));
            settle();
        }
    }
    void renew(int number, std::uint64_t counter = 1, std::uint64_t random = 0) {
        duties.take(from(number, counter, random),
                    Renew{now, state().version, start_of(1, 1, "").facts}, election, now);
    }
    void ask_to_join(int number, std::uint64_t counter = 1, std::uint64_t random = 0) {
        duties.take(from(number, counter, random),
                    AskToJoin{start_of(static_cast<std::uint8_t>(number), 1, "").facts}, now);
        settle();
    }
    // The answer to a change that this node asked for; nullopt: none yet.
    std::optional<std::optional<Error>> propose(int number,
                                                Change change,
                                                std::uint64_t counter = 1) {
        sends.clear();
        duties.take(from(number, counter), Propose{++request, std::move(change)}, sends);
        settle();
        return answer_to(request);
    }
    std::optional<std::optional<Error>> answer_to(std::uint64_t which) const {
        for (const auto& one : sends) {
            const auto* proposed = std::get_if<Proposed>(&one.message);
            if (proposed != nullptr && proposed->request == which) return proposed->error;
        }
        return std::nullopt;
    }
    template <class M>
    std::size_t count(int to) const {
        return static_cast<std::size_t>(
            std::count_if(sends.begin(), sends.end(), [&](const auto& one) {
                return one.to == id_of(to) && std::holds_alternative<M>(one.message);
            }));
    }
    const PoolState& state() const { return *election.durable().accepted.value; }
    const Configuration& voters() const { return election.durable().accepted.configuration; }
    const PartitionState& owned_by(int number) const {
        for (const auto& partition : state().partitions)
            if (partition.owner == id_of(number) && !partition.solo &&
                partition.in_sync.size() == 2)
                return partition;
        FAIL("no such partition");
        return state().partitions.front();
    }

    BootTime now = start;
    LeaderDuties duties;
    Election election;
    LeaderDuties::Sends sends;
    std::vector<Published> publications;
    std::deque<ElectionOutput::Send> queue;
    std::map<NodeId, Place> has;
    std::set<int> silent;
    std::set<int> withheld;  // do not say that they accepted
    std::set<int> unjoined;  // of another mind in this term
    std::set<int> renewing{1};
    bool knows_commits = true;
    std::uint64_t request = 0;
};

}  // namespace

// ------------------------------------------------------------------ who lives

TEST_CASE("a new leader gives everybody partitions and votes, and is then quiet") {
    Leading pool(3);
    CHECK(pool.voters().voters == test_nodes({1, 2, 3}));
    for (int number : {1, 2, 3})
        CHECK(std::count_if(pool.state().partitions.begin(), pool.state().partitions.end(),
                            [&](const auto& partition) {
                                return partition.owner == id_of(number) &&
                                       partition.phase == PartitionPhase::open;
                            }) == open_partitions + 1);
    pool.renewing = {1, 2, 3};
    pool.run(30s);
    CHECK(pool.publications.empty());
}

TEST_CASE("a leader that rests hears who comes again: silent while its earlier start lapsed") {
    Leading pool(3);
    pool.renewing = {1, 2};
    pool.ask_to_join(3, 2);
    pool.run(ttl + 2s);
    CHECK_FALSE(pool.state().is_live(id_of(3)));
    pool.ask_to_join(3, 2);
    CHECK(pool.state().is_live(id_of(3), {2, 3}));
}

TEST_CASE("what renews lives, and what does not is evicted at its TTL, all in one change") {
    Leading pool(4);
    pool.renewing = {1, 2};
    const auto begun = pool.now;
    pool.run(ttl - 2s);
    CHECK(pool.publications.empty());
    CHECK(pool.count<Renewed>(2) > 0);
    CHECK(pool.count<Renewed>(3) == 0);
    pool.run(2s);
    CHECK(pool.now - begun <= ttl);
    for (int number : {3, 4}) CHECK_FALSE(pool.state().is_live(id_of(number)));
    CHECK(pool.state().is_live(id_of(2)));
    REQUIRE_FALSE(pool.publications.empty());
    const auto& first = *pool.publications.front().value;
    CHECK_FALSE(first.is_live(id_of(3)));
    CHECK_FALSE(first.is_live(id_of(4)));
    for (const auto& partition : first.partitions) {
        CHECK(partition.owner != id_of(3));
        CHECK(partition.owner != id_of(4));
    }
}

TEST_CASE("a new node starts when it asks, and begins to serve") {
    Leading pool(1);
    pool.ask_to_join(2);
    CHECK(pool.state().is_live(id_of(2), {1, 2}));
    CHECK(pool.state().member(id_of(2))->facts.name == "n2");
    pool.run(1s);
    CHECK(pool.voters().voters == test_nodes({1, 2}));
    CHECK(pool.owned_by(2).in_sync.size() == 2);
}

TEST_CASE("a later start waits for the earlier one, and begins in the change that ends that") {
    Leading pool(3);
    pool.renewing = {1, 2};
    const auto before = pool.state();
    bool heard_lately = true;
    SUBCASE("heard lately: it keeps its places") {}
    SUBCASE("not heard for a while: it starts when it is heard again") {
        heard_lately = false;
    }
    const auto ends = pool.now + ttl;
    while (pool.now < ends) {
        if (heard_lately || pool.now < start + 4s) pool.renew(3, 2, 33);
        CHECK(pool.state().is_live(id_of(3), {1, 3}));
        pool.run(50ms);
        if (!pool.state().is_live(id_of(3), {1, 3})) break;
    }
    CHECK(pool.state().is_live(id_of(3), {2, 33}) == heard_lately);
    bool keeps = true;
    for (const auto& partition : before.partitions)
        keeps =
            keeps && pool.state().find(partition.id)->holds(id_of(3)) == partition.holds(id_of(3));
    CHECK(keeps == heard_lately);
    if (heard_lately) return;
    pool.renew(3, 2, 33);
    pool.run(50ms);
    CHECK(pool.state().is_live(id_of(3), {2, 33}));
}

TEST_CASE("who alone votes ends its own earlier start at once, and nobody else's") {
    Leading pool(1);
    pool.renewing = {};
    pool.renew(1, 2, 11);
    pool.run(50ms);
    CHECK(pool.state().is_live(id_of(1), {2, 11}));

    Leading two(2);
    REQUIRE(two.voters().voters.size() == 2);
    two.renewing = {};
    two.renew(1, 2, 11);
    two.run(1s);
    CHECK(two.state().is_live(id_of(1), {1, 1}));
}

TEST_CASE("a number that the pool knows, with another random part, is a stranger's") {
    struct Row {
        std::uint64_t counter;
        std::uint64_t random;
        bool stranger;
    };
    for (const auto& row : {Row{1, 2, false}, Row{1, 99, true}, Row{2, 99, false}}) {
        CAPTURE(row.counter);
        CAPTURE(row.random);
        Leading pool(2);
        pool.renew(2, row.counter, row.random);
        pool.ask_to_join(2, row.counter, row.random);
        CHECK(pool.count<Estranged>(2) == (row.stranger ? 1 : 0));
        CHECK(pool.state().is_live(id_of(2), {1, 2}));
    }
}

TEST_CASE("one that lags is not renewed, and ends") {
    Leading pool(3);
    pool.renewing = {1, 2};
    const auto old = PoolVersion{1};
    for (int i = 0; i < 45; ++i) {
        pool.duties.take(from(3), Renew{pool.now, old, {}}, pool.election, pool.now);
        pool.run(500ms);
    }
    CHECK_FALSE(pool.state().is_live(id_of(3)));
}

// ------------------------------------------------------------------ what nodes ask for

TEST_CASE("who may ask for what") {
    Leading pool(3);
    const auto mine = pool.owned_by(2);
    const auto other = mine.in_sync.back();
    const DropHolder drop{mine.id, mine.epoch, other};
    struct Row {
        const char* what;
        int asks;
        std::uint64_t counter;
        Change change;
        std::optional<Errc> refused;
    };
    const Row rows[] = {
        {"an owner's business, by another", 3, 1, drop, Errc::fenced},
        {"by another start of the owner", 2, 2, drop, Errc::fenced},
        {"of a partition that is not", 2, 1, DropHolder{{999}, {1}, other}, Errc::conflict},
        {"in another epoch", 2, 1, DropHolder{mine.id, {99}, other}, Errc::conflict},
        {"the leader's business", 2, 1, SetCopies{3}, Errc::invalid},
        {"the leader's business", 2, 1, Evict{{{id_of(3), {1, 3}}}, {}}, Errc::invalid},
        {"the leader's business", 2, 1, OpenPartition{{id_of(2)}}, Errc::invalid},
        {"an operator's, not possible now", 2, 1, RemoveMember{id_of(3)}, Errc::conflict},
        {"an operator's", 2, 1, SetDraining{id_of(3)}, std::nullopt},
        {"an operator's, so already", 2, 1, SetDraining{id_of(3)}, std::nullopt},
        {"an owner's business", 2, 1, drop, std::nullopt},
        {"a second time", 2, 1, drop, Errc::conflict},
    };
    for (const auto& row : rows) {
        CAPTURE(row.what);
        const auto answer = pool.propose(row.asks, row.change, row.counter);
        REQUIRE(answer.has_value());
        CHECK(answer->has_value() == row.refused.has_value());
        if (*answer && row.refused) CHECK((*answer)->code == *row.refused);
    }
    CHECK_FALSE(pool.state().find(mine.id)->holds(other));
}

TEST_CASE("once a value gives the pool to another control plane the leader grants nothing") {
    Leading pool(3, {1, 2, 3});
    pool.renewing = {1, 2, 3};
    pool.run(1s);
    REQUIRE(pool.count<Renewed>(2) > 0);
    pool.withheld = {2, 3};
    SUBCASE("accepted, and not committed yet") {
        CHECK_FALSE(pool.propose(2, SetControl{PoolControl::etcd}).has_value());
    }
    SUBCASE("committed") {
        pool.withheld.clear();
        const auto answer = pool.propose(2, SetControl{PoolControl::etcd});
        REQUIRE(answer.has_value());
        CHECK_FALSE(answer->has_value());
    }
    const auto last = pool.state();
    pool.sends.clear();
    pool.run(25s);
    CHECK(pool.count<Renewed>(2) == 0);
    CHECK(pool.state().control == PoolControl::etcd);
    CHECK(pool.state().partitions == last.partitions);
    const auto refused = pool.propose(3, SetDraining{id_of(3)});
    REQUIRE((refused && *refused));
    CHECK((*refused)->code == Errc::unavailable);
}

TEST_CASE("an answer waits for the commit, and is `unknown` when the lead is lost before") {
    Leading pool(3);
    pool.withheld = {2, 3};
    CHECK_FALSE(pool.propose(2, SetDraining{id_of(3)}).has_value());
    const auto published = pool.request;
    CHECK_FALSE(pool.propose(2, SetDraining{id_of(2)}).has_value());  // one at a time
    const auto waits = pool.request;
    SUBCASE("committed at last") {
        pool.withheld.clear();
        pool.sends.clear();
        pool.run(1s);
        for (const auto answered : {published, waits}) {
            REQUIRE(pool.answer_to(answered).has_value());
            CHECK_FALSE(pool.answer_to(answered)->has_value());
        }
    }
    SUBCASE("lost") {
        pool.sends.clear();
        ElectionOutput out;
        pool.election.abdicate(pool.now, out);
        pool.absorb(std::move(out));
        REQUIRE(pool.answer_to(published).has_value());
        REQUIRE(pool.answer_to(published)->has_value());
        CHECK((*pool.answer_to(published))->code == Errc::unknown);
        CHECK((*pool.answer_to(waits))->code == Errc::unavailable);  // it was never published
        CHECK((*pool.propose(2, SetDraining{id_of(3)}))->code == Errc::unavailable);
        CHECK_FALSE(pool.duties.leases().leads());
    }
}

TEST_CASE("a question that comes twice is answered once") {
    Leading pool(3);
    pool.withheld = {2, 3};
    for (int i = 0; i < 3; ++i)
        pool.duties.take(from(2), Propose{7, SetDraining{id_of(3)}}, pool.sends);
    // Another node's, and another start's, with the same number are others.
    pool.duties.take(from(3), Propose{7, SetDraining{id_of(3)}}, pool.sends);
    pool.settle();
    pool.withheld.clear();
    pool.sends.clear();
    pool.run(1s);
    CHECK(pool.count<Proposed>(2) == 1);
    CHECK(pool.count<Proposed>(3) == 1);
}

// ------------------------------------------------------------------ leaving

TEST_CASE("who leaves drains, loses its vote, leaves, and is told when others know it") {
    Leading pool(4);
    pool.renewing = {1, 2, 3, 4};
    pool.knows_commits = false;
    const auto ask = [&] {
        pool.sends.clear();
        pool.duties.take(from(2), LeaveRequest{}, pool.election, pool.sends);
        pool.settle();
    };
    REQUIRE(pool.voters().contains(id_of(2)));
    ask();
    for (int i = 0; i < 5; ++i) {
        ask();
        pool.run(300ms);
    }
    CHECK_FALSE(pool.state().is_live(id_of(2)));
    CHECK(pool.voters().voters == test_nodes({1, 3, 4}));
    for (const auto& partition : pool.state().partitions) {
        CHECK(partition.owner != id_of(2));
        CHECK((!partition.holds(id_of(2)) || partition.in_sync.size() == 1));
    }
    ask();
    CHECK(pool.count<LeaveDone>(2) == 0);
    pool.knows_commits = true;
    pool.run(300ms);
    ask();
    REQUIRE(pool.count<LeaveDone>(2) == 1);
    std::vector<PartitionId> alone;
    for (const auto& partition : pool.state().partitions) {
        if (partition.holds(id_of(2))) alone.push_back(partition.id);
    }
    CHECK_FALSE(alone.empty());  // its solo partition
    for (const auto& one : pool.sends) {
        if (const auto* done = std::get_if<LeaveDone>(&one.message)) CHECK(done->holds == alone);
    }
}

TEST_CASE("another start of a node does not end the one that lives by leaving") {
    Leading pool(3);
    pool.renewing = {1, 2, 3};
    pool.duties.take(from(2, 0, 22), LeaveRequest{}, pool.election, pool.sends);
    pool.run(1s);
    CHECK(pool.state().is_live(id_of(2), {1, 2}));
    CHECK_FALSE(pool.state().member(id_of(2))->draining);
}

// ------------------------------------------------------------------ placement

TEST_CASE("the copies that the leader's configuration wants are what the pool has") {
    Leading pool(4, {1}, 3);
    CHECK(pool.state().settings.copies == 3);
    for (const auto& partition : pool.state().partitions)
        if (!partition.solo && partition.phase == PartitionPhase::open)
            CHECK(partition.in_sync.size() == 3);
}

TEST_CASE("votes that cannot move for long are reported: a new term may help") {
    Leading pool(1);
    pool.renewing = {1, 2};
    pool.unjoined = {2};
    pool.ask_to_join(2);
    pool.run(4s);
    CHECK(pool.voters().voters == test_nodes({1}));
    CHECK_FALSE(pool.duties.blocked(pool.now));
    pool.run(2s);
    CHECK(pool.duties.blocked(pool.now));
    pool.unjoined.clear();
    pool.run(1s);
    CHECK(pool.voters().voters == test_nodes({1, 2}));
    CHECK_FALSE(pool.duties.blocked(pool.now + 1h));
}

TEST_CASE("a vote goes from who is away to a spare") {
    Leading pool(4);
    pool.renewing = {1, 2, 3, 4};
    REQUIRE(pool.voters().voters == test_nodes({1, 2, 3}));
    pool.silent = {3};
    pool.run(6s);
    CHECK(pool.voters().voters == test_nodes({1, 2, 4}));
}

TEST_CASE("votes are not added while one of them is silent: then more would have to answer") {
    Leading pool(6);
    pool.renewing = {1, 2, 3, 4, 5, 6, 7};
    REQUIRE(pool.voters().voters == test_nodes({1, 2, 3}));
    pool.silent = {3};
    pool.run(1s);
    pool.ask_to_join(7);
    pool.run(1s);
    REQUIRE(pool.state().is_live(id_of(7)));
    CHECK(pool.voters().voters == test_nodes({1, 2, 3}));
    pool.run(5s);
    CHECK(pool.voters().voters == test_nodes({1, 2, 4}));
    pool.silent.clear();
    pool.run(1s);
    CHECK(pool.voters().voters.size() == 5);
}

TEST_CASE("a leaver keeps its vote while another voter may just have died with its disk") {
    Leading pool(3);
    pool.renewing = {1, 2, 3};
    pool.silent = {3};
    pool.duties.take(from(2), LeaveRequest{}, pool.election, pool.sends);
    pool.run(1s);
    CHECK(pool.state().member(id_of(2))->draining);
    CHECK(pool.voters().voters == test_nodes({1, 2, 3}));
    pool.ask_to_join(4);  // in the place of the dead one
    pool.renewing.insert(4);
    pool.run(1s);
    CHECK(pool.voters().voters == test_nodes({1, 3, 4}));
    pool.duties.take(from(2), LeaveRequest{}, pool.election, pool.sends);
    pool.run(1s);
    CHECK_FALSE(pool.state().is_live(id_of(2)));
}
