#include "replication/core/election.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

const BootTime start{1h};
const Election::Settings settings;

NodeId id_of(int number) {
    return test_node(static_cast<std::uint8_t>(number));
}

// The disk of a voter of a pool that began with version 0 of this value.
Durable first_disk(const std::vector<int>& voters, std::size_t members) {
    Durable durable;
    durable.accepted.configuration = {test_nodes(voters)};
    durable.accepted.committed = durable.accepted.configuration;
    durable.accepted.value = std::make_shared<const PoolState>(pool_of(members));
    return durable;
}

template <class M>
const M* find(const std::vector<ElectionOutput::Send>& sends, const NodeId& to) {
    for (const auto& one : sends)
        if (one.to == to && std::holds_alternative<M>(one.message))
            return &std::get<M>(one.message);
    return nullptr;
}

// Nodes 1.. with their elections, over a network that loses what the test says.
struct Voters {
    struct Node {
        std::unique_ptr<Election> election;
        Durable disk;
        bool disk_hangs = false;
        std::vector<ElectionOutput::Send> gated;  // for the disk
        bool led = false;
        bool lost = false;
        int publications = 0;
    };
    struct Flight {
        int from;
        int to;
        Message message;
    };
    std::map<int, Node> nodes;
    std::deque<Flight> flights;
    std::set<int> silent;
    std::function<bool(const Flight&)> loses = [](const Flight&) { return false; };
    std::vector<Flight> delivered;
    BootTime now = start;

    Voters(const std::vector<int>& voters, int members) {
        for (int number = 1; number <= members; ++number) {
            nodes[number].disk = first_disk(voters, static_cast<std::size_t>(members));
            restart(number);
        }
    }
    Election& at(int number) { return *nodes.at(number).election; }
    void restart(int number) {
        auto& node = nodes[number];
        node.gated.clear();
        node.election =
            std::make_unique<Election>(id_of(number), node.disk, settings,
                                       [state = static_cast<std::uint64_t>(number) * 77]() mutable {
                                           return state = state * 6364136223846793005u + 1;
                                       });
        node.election->begin(now);
    }
    int number_of(const NodeId& id) const { return id.bytes[0]; }
    void post(int number, ElectionOutput out) {
        auto& node = nodes[number];
        node.led = (node.led || out.led) && !out.lost;
        node.lost = node.lost || out.lost;
        for (auto& one : out.now) send(number, std::move(one));
        for (auto& one : out.gated) node.gated.push_back(std::move(one));
        if (!node.disk_hangs) write(number);
    }
    void write(int number) {
        auto& node = nodes[number];
        node.disk = node.election->durable();
        node.election->written(node.disk);
        for (auto& one : std::exchange(node.gated, {})) send(number, std::move(one));
    }
    void send(int from, ElectionOutput::Send one) {
        flights.push_back({from, number_of(one.to), std::move(one.message)});
    }
    void settle() {
        while (!flights.empty()) {
            auto flight = std::move(flights.front());
            flights.pop_front();
            if (!nodes.contains(flight.to)) continue;
            const bool apart = flight.from != flight.to &&
                               (silent.contains(flight.from) || silent.contains(flight.to));
            if (apart || loses(flight)) continue;
            give(flight.to, id_of(flight.from), flight.message);
            delivered.push_back(std::move(flight));
        }
    }
    void give(int to, const NodeId& from, const Message& message) {
        ElectionOutput out;
        std::visit(
            [&](const auto& one) {
                if constexpr (requires { at(to).take(from, one, now, out); })
                    at(to).take(from, one, now, out);
            },
            message);
        post(to, std::move(out));
    }
    void run(Duration time) {
        for (const auto end = now + time; now < end;) {
            now += 50ms;
            for (auto& [number, node] : nodes) {
                ElectionOutput out;
                node.election->tick(now, out);
                post(number, std::move(out));
            }
            settle();
        }
    }
    // 0: nobody leads.
    int leader() {
        int found = 0;
        for (auto& [number, node] : nodes) {
            if (!node.election->leads() || silent.contains(number)) continue;
            CHECK(found == 0);
            found = number;
        }
        return found;
    }
    void publish(int number, const Configuration& configuration) {
        ElectionOutput out;
        at(number).publish(*at(number).durable().accepted.value, configuration, now, out);
        post(number, std::move(out));
        settle();
    }
    PoolVersion committed(int number) {
        const auto& value = at(number).committed();
        return value ? value->version : PoolVersion{};
    }
    template <class M>
    std::size_t count(int from) const {
        return static_cast<std::size_t>(
            std::count_if(delivered.begin(), delivered.end(), [&](const Flight& flight) {
                return flight.from == from && flight.from != flight.to &&
                       std::holds_alternative<M>(flight.message);
            }));
    }
};

template <class M>
std::function<bool(const Voters::Flight&)> losing() {
    return [](const Voters::Flight& flight) {
        return flight.from != flight.to && std::holds_alternative<M>(flight.message);
    };
}

}  // namespace

// ------------------------------------------------------------------ asking

TEST_CASE("who votes alone leads at once, after its disk") {
    Voters one({1}, 1);
    one.nodes[1].disk_hangs = true;
    one.run(1s);
    CHECK_FALSE(one.at(1).leads());
    one.nodes[1].disk_hangs = false;
    one.write(1);
    one.settle();
    one.run(50ms);
    CHECK(one.at(1).leads());
    CHECK(one.at(1).committed()->version == PoolVersion{1});
}

TEST_CASE("a voter waits for its patience and spends no term without a majority of pre-votes") {
    Voters three({1, 2, 3}, 3);
    three.silent = {2, 3};
    three.run(settings.patience - 50ms);
    CHECK(three.at(1).agreement().term() == Term{});
    three.run(30s);
    CHECK(three.at(1).agreement().term() == Term{});
    CHECK(three.leader() == 0);
    three.silent = {};
    three.run(8s);
    CHECK(three.leader() != 0);
    CHECK(three.at(1).agreement().term() <= Term{3});
}

TEST_CASE("who has no vote does not ask") {
    Voters two({1}, 2);
    two.silent = {1};
    two.run(10s);
    CHECK(two.count<PreVote>(2) == 0);
    CHECK(two.at(2).agreement().term() == Term{});
}

TEST_CASE("who would join whom") {
    Voters three({1, 2, 3}, 3);
    three.run(5s);
    const int leader = three.leader();
    REQUIRE(leader != 0);
    const int follower = leader == 1 ? 2 : 1;
    const auto newest = three.at(leader).agreement().accepted();
    const Place older{newest.term, {newest.version.value - 1}};
    const auto granted = [&](int asked, const Place& accepted) {
        ElectionOutput out;
        three.at(asked).take(id_of(3), PreVote{7, accepted}, three.now, out);
        const auto* reply = find<PreVoteReply>(out.now, id_of(3));
        REQUIRE(reply != nullptr);
        CHECK(reply->round == 7);
        CHECK(reply->term == three.at(asked).agreement().term());
        return reply->granted;
    };
    CHECK_FALSE(granted(leader, newest));    // it leads
    CHECK_FALSE(granted(follower, newest));  // it hears a leader
    three.silent = {leader};
    three.now += settings.patience;
    CHECK(granted(follower, newest));
    CHECK_FALSE(granted(follower, older));  // it knows more
}

TEST_CASE("late answers to an earlier question do not count") {
    Election election(id_of(1), first_disk({1, 2, 3}, 3), settings, [] { return 0u; });
    election.begin(start);
    ElectionOutput out;
    election.tick(start + settings.patience, out);
    REQUIRE(find<PreVote>(out.now, id_of(2)) != nullptr);
    CHECK(find<PreVote>(out.now, id_of(2))->round == 1);
    election.take(id_of(2), PreVoteReply{0, true, {}}, start + 1s, out);
    election.take(id_of(2), PreVoteReply{1, false, {9}}, start + 1s, out);
    CHECK(find<StartJoin>(out.now, id_of(2)) == nullptr);
    election.take(id_of(3), PreVoteReply{1, true, {}}, start + 1s, out);
    REQUIRE(find<StartJoin>(out.now, id_of(2)) != nullptr);
    CHECK(find<StartJoin>(out.now, id_of(2))->term == Term{10});  // above all that it heard of
    // Its own vote waits for its disk like any other's.
    CHECK(find<Join>(out.now, id_of(1)) == nullptr);
    CHECK(find<Join>(out.gated, id_of(1)) != nullptr);
}

// ------------------------------------------------------------------ leading

TEST_CASE("three elect one, whose first value is what it had, in its own term") {
    Voters three({1, 2, 3}, 3);
    three.run(5s);
    const int leader = three.leader();
    REQUIRE(leader != 0);
    for (int number : {1, 2, 3}) {
        CHECK(three.at(number).leader(three.now) == id_of(leader));
        CHECK(three.committed(number) == PoolVersion{1});
        CHECK(three.at(number).agreement().accepted().term == three.at(leader).agreement().term());
    }
    const auto term = three.at(leader).agreement().term();
    three.run(30s);
    CHECK(three.leader() == leader);
    CHECK(three.at(leader).agreement().term() == term);
}

TEST_CASE("a leader leads once its first value is committed and on its own disk") {
    Voters three({1, 2, 3}, 3);
    three.loses = losing<Published>();
    three.run(3s);
    CHECK(three.leader() == 0);
    three.loses = [](const auto&) { return false; };
    three.run(8s);
    CHECK(three.leader() != 0);
}

TEST_CASE("a leader whose disk hangs abdicates, and another one leads") {
    Voters three({1, 2, 3}, 3);
    three.run(5s);
    const int leader = three.leader();
    three.nodes[leader].disk_hangs = true;
    three.publish(leader, three.at(leader).durable().accepted.configuration);
    CHECK_FALSE(three.at(leader).may_publish(three.at(leader).durable().accepted.configuration));
    three.run(settings.abdicate_after + 100ms);
    CHECK(three.nodes[leader].lost);
    three.run(8s);
    CHECK(three.leader() != leader);
    CHECK(three.leader() != 0);
}

TEST_CASE("a follower whose disk hangs holds nobody up") {
    Voters three({1, 2, 3}, 3);
    three.run(5s);
    const int leader = three.leader();
    const int hung = leader == 1 ? 2 : 1;
    three.nodes[hung].disk_hangs = true;
    three.publish(leader, three.at(leader).durable().accepted.configuration);
    CHECK(three.committed(leader) == PoolVersion{2});
    three.run(20s);
    CHECK(three.leader() == leader);
    // What it says it has is what is on its disk.
    CHECK(three.at(leader).known_of(id_of(hung)).version == PoolVersion{1});
}

TEST_CASE("a leader that no majority hears abdicates without a word") {
    Voters three({1, 2, 3}, 3);
    three.run(5s);
    const int leader = three.leader();
    three.silent = {leader};
    three.run(settings.abdicate_after - 400ms);
    CHECK(three.at(leader).leads());
    three.delivered.clear();
    three.run(1s);
    CHECK_FALSE(three.at(leader).leads());
    CHECK(three.nodes[leader].lost);
    CHECK(three.leader() != 0);  // among the others
    CHECK(three.at(leader).heard(id_of(leader == 1 ? 2 : 1)) == std::nullopt);
    three.silent = {};
    three.run(3s);
    CHECK(three.at(leader).leader(three.now).has_value());
}

TEST_CASE("while the configuration changes, both must elect and confirm") {
    Voters four({1, 2, 3}, 4);
    four.run(5s);
    const int leader = four.leader();
    REQUIRE(leader != 0);
    const Configuration next{test_nodes({1, 2, 3, 4})};
    const auto no_word = [](const Voters::Flight& flight) {
        return flight.from != flight.to && (std::holds_alternative<Accepted>(flight.message) ||
                                            std::holds_alternative<Heartbeat>(flight.message));
    };
    four.loses = no_word;
    four.publish(leader, next);
    CHECK(four.committed(leader) == PoolVersion{1});
    // Two of the four and of the three: enough for the old one alone.
    std::vector<int> others;
    for (int number : {1, 2, 3, 4})
        if (number != leader) others.push_back(number);
    const auto round = four.at(leader).newest_round();
    four.loses = [](const auto&) { return false; };
    four.silent = {others[1], others[2]};
    four.run(1s);
    CHECK(four.at(leader).newest_round() > round);
    CHECK(four.at(leader).confirmed_round() <= round);
    CHECK(four.committed(leader) == PoolVersion{1});
    four.silent = {};
    four.run(1s);
    CHECK(four.at(leader).durable().accepted.committed == next);
}

TEST_CASE("who gave up its vote leads once more when others lack what it accepted since") {
    Voters two({1, 2}, 2);
    two.run(5s);
    const int leader = two.leader();
    const int other = 3 - leader;
    const Configuration without{test_nodes({other})};
    two.loses = losing<Commit>();
    two.publish(leader, without);
    const auto given_up = two.committed(leader);
    REQUIRE(two.committed(other) < given_up);
    two.silent = {leader};
    two.publish(leader, without);
    two.run(settings.abdicate_after + 1s);
    CHECK_FALSE(two.at(leader).leads());
    two.silent = {};
    two.loses = [](const auto&) { return false; };
    two.run(10s);
    CHECK((two.leader() == leader && two.committed(other) > given_up));
}

TEST_CASE("one publication at a time, and a new configuration after the last one only") {
    Voters three({1, 2, 3}, 4);
    three.run(5s);
    const int leader = three.leader();
    const auto& configuration = three.at(leader).durable().accepted.configuration;
    CHECK(three.at(leader).may_publish(configuration));
    CHECK(three.at(leader).may_publish({test_nodes({1, 2, 3, 4})}));
    // A majority of it must have joined this term.
    CHECK_FALSE(three.at(leader).may_publish({test_nodes({7, 8, 9})}));
    three.loses = losing<Accepted>();
    three.publish(leader, configuration);
    CHECK_FALSE(three.at(leader).may_publish(configuration));
    CHECK_FALSE(three.at(leader == 1 ? 2 : 1).may_publish(configuration));
}

// ------------------------------------------------------------------ lost messages

TEST_CASE("what is lost is said again") {
    Voters three({1, 2, 3}, 3);
    SUBCASE("joins") {
        three.loses = losing<Join>();
    }
    SUBCASE("publications") {
        three.loses = losing<Published>();
    }
    SUBCASE("acceptances") {
        three.loses = losing<Accepted>();
    }
    SUBCASE("commits") {
        three.loses = losing<Commit>();
    }
    SUBCASE("a third of everything") {
        three.loses = [n = 0](const Voters::Flight&) mutable { return ++n % 3 == 0; };
    }
    three.run(4s);
    three.loses = [](const auto&) { return false; };
    three.run(8s);
    const int leader = three.leader();
    REQUIRE(leader != 0);
    three.loses = [](const Voters::Flight& flight) {
        return std::holds_alternative<Published>(flight.message) ||
               std::holds_alternative<Commit>(flight.message);
    };
    three.publish(leader, three.at(leader).durable().accepted.configuration);
    three.loses = losing<Accepted>();  // a heartbeat's answer says it too
    three.run(1s);
    three.loses = [](const auto&) { return false; };
    three.run(1s);
    CHECK(three.leader() == leader);
    const auto version = three.at(leader).agreement().accepted().version;
    for (int number : {1, 2, 3}) CHECK(three.committed(number) == version);
    // And not again once everybody has it.
    three.delivered.clear();
    three.run(2s);
    CHECK(three.count<Published>(leader) == 0);
}

TEST_CASE("a follower in a higher term is led in a new one") {
    Voters three({1, 2, 3}, 3);
    three.run(5s);
    const int leader = three.leader();
    const int ahead = leader == 1 ? 2 : 1;
    const auto term = three.at(leader).agreement().term();
    three.at(ahead).see_term({term.value + 5});
    three.run(3s);
    CHECK(three.leader() == leader);
    CHECK(three.at(leader).agreement().term() > Term{term.value + 5});
    CHECK(three.at(ahead).leader(three.now) == id_of(leader));
}

TEST_CASE("messages of earlier terms change nothing") {
    Voters three({1, 2, 3}, 3);
    three.run(5s);
    const int leader = three.leader();
    const int follower = leader == 1 ? 2 : 1;
    const int third = 6 - leader - follower;
    const auto before = three.at(follower).durable();
    auto old = before.accepted;
    old.term.value -= 1;
    old.version.value += 5;
    three.give(follower, id_of(third), old);
    three.give(follower, id_of(third), Commit{{old.term, old.version}});
    three.give(follower, id_of(third), StartJoin{old.term});
    three.give(follower, id_of(third), Heartbeat{old.term, 99, {old.term, old.version}, true, {}});
    three.give(follower, id_of(third), TakeLead{before.current_term});  // it does not lead
    CHECK(three.at(follower).durable() == before);
    CHECK(three.at(follower).leader(three.now) == id_of(leader));
}

TEST_CASE("a term that is seen is adopted without a vote") {
    Election election(id_of(1), first_disk({1, 2, 3}, 3), settings, [] { return 0u; });
    election.see_term({7});
    CHECK(election.agreement().term() == Term{7});
    ElectionOutput out;
    election.take(id_of(2), StartJoin{{7}}, start, out);
    CHECK(out.gated.empty());
    election.take(id_of(2), StartJoin{{8}}, start, out);
    CHECK(find<Join>(out.gated, id_of(2)) != nullptr);
    // Nor is that vote given to another.
    out = {};
    election.take(id_of(3), StartJoin{{8}}, start, out);
    election.take(id_of(3), Heartbeat{{8}, 1, {}, false, {}}, start, out);
    CHECK(find<Join>(out.gated, id_of(3)) == nullptr);
}

TEST_CASE("what a follower answers depends on its disk") {
    Voters three({1, 2, 3}, 3);
    three.run(5s);
    const int leader = three.leader();
    const int follower = leader == 1 ? 2 : 1;
    auto next = three.at(leader).durable().accepted;
    next.version.value += 1;
    ElectionOutput out;
    three.at(follower).take(id_of(leader), next, three.now, out);
    CHECK(out.accepted);
    CHECK(find<Accepted>(out.now, id_of(leader)) == nullptr);
    CHECK(find<Accepted>(out.gated, id_of(leader)) != nullptr);
    three.at(follower).take(id_of(leader), Heartbeat{next.term, 99, {}, true, {}}, three.now, out);
    CHECK(find<HeartbeatReply>(out.now, id_of(leader))->accepted.version == PoolVersion{1});
    three.at(follower).written(three.at(follower).durable());
    out = {};
    three.at(follower).take(id_of(leader), Heartbeat{next.term, 99, {}, true, {}}, three.now, out);
    CHECK(find<HeartbeatReply>(out.now, id_of(leader))->accepted.version == next.version);
}

// ------------------------------------------------------------------ what the leader knows

TEST_CASE("rounds are confirmed by a majority that answered them") {
    Voters three({1, 2, 3}, 3);
    three.run(5s);
    const int leader = three.leader();
    CHECK(three.at(leader).confirmed_round() == three.at(leader).newest_round());
    three.loses = losing<HeartbeatReply>();
    const auto before = three.at(leader).newest_round();
    three.run(1s);
    CHECK(three.at(leader).newest_round() > before);
    CHECK(three.at(leader).confirmed_round() == before);
    // One of the others is enough.
    three.loses = [leader](const Voters::Flight& flight) {
        return std::holds_alternative<HeartbeatReply>(flight.message) &&
               flight.from == (leader == 1 ? 2 : 1);
    };
    three.run(1s);
    CHECK(three.at(leader).confirmed_round() == three.at(leader).newest_round());
}

TEST_CASE("who is away") {
    Voters three({1, 2, 3}, 3);
    three.run(5s);
    const int leader = three.leader();
    const int gone = leader == 1 ? 2 : 1;
    CHECK(three.at(leader).away(three.now).empty());
    three.silent = {gone};
    three.run(settings.abdicate_after + 300ms);
    CHECK(three.at(leader).away(three.now) == std::vector{id_of(gone)});
    CHECK(three.at(leader).successor() != id_of(gone));
    three.silent = {};
    three.run(1s);
    CHECK(three.at(leader).away(three.now).empty());
}

TEST_CASE("everywhere committed: on the disks of a majority, with its configuration") {
    Voters three({1, 2, 3}, 3);
    three.run(5s);
    const int leader = three.leader();
    CHECK(three.at(leader).everywhere_committed());
    CHECK_FALSE(three.at(leader == 1 ? 2 : 1).everywhere_committed());
    three.loses = [](const Voters::Flight& flight) {
        return flight.from != flight.to && (std::holds_alternative<Commit>(flight.message) ||
                                            std::holds_alternative<Heartbeat>(flight.message));
    };
    std::vector<int> stay;
    for (int number : {1, 2, 3})
        if (number != leader) stay.push_back(number);
    three.publish(leader, {test_nodes(stay)});
    CHECK(three.at(leader).durable().accepted.committed.voters == test_nodes(stay));
    CHECK_FALSE(three.at(leader).everywhere_committed());  // the others do not know yet
    three.loses = [](const auto&) { return false; };
    three.run(1s);
    CHECK(three.at(leader).everywhere_committed());
}

TEST_CASE("who is told to take the lead need not wait, and only the leader tells") {
    Voters three({1, 2, 3}, 3);
    three.run(5s);
    const int leader = three.leader();
    const auto successor = three.at(leader).successor();
    REQUIRE(successor.has_value());
    CHECK(successor != id_of(leader));
    const auto term = three.at(leader).agreement().term();
    three.give(three.number_of(*successor), id_of(leader), TakeLead{term});
    three.settle();
    CHECK(three.leader() == three.number_of(*successor));
    CHECK(three.nodes[leader].lost);
}

TEST_CASE("a vote that is split is tried again before anybody's patience ends") {
    Voters three({1, 2, 3}, 3);
    three.run(5s);
    const int leader = three.leader();
    const auto term = three.at(leader).agreement().term();
    three.silent = {leader};
    for (int number : {1, 2, 3}) {
        if (number != leader) three.give(number, id_of(leader), TakeLead{term});
    }
    three.settle();
    CHECK(three.leader() == 0);
    three.run(settings.patience + settings.back_off);
    CHECK(three.leader() != 0);
}

TEST_CASE("whoever restarts without a word of its term on disk cannot be counted twice") {
    // 1 joins 2 in a term that its disk forgets; after the restart it may join again, elsewhere.
    Voters three({1, 2, 3}, 3);
    three.nodes[1].disk_hangs = true;
    ElectionOutput out;
    three.at(1).take(id_of(2), StartJoin{{5}}, three.now, out);
    CHECK(out.now.empty());
    CHECK(find<Join>(out.gated, id_of(2)) != nullptr);
    three.restart(1);
    CHECK(three.at(1).agreement().term() == Term{});
}
