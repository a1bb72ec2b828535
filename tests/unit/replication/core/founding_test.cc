#include "replication/core/founding.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <set>

#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

std::string address_of(int number) {
    return "n" + std::to_string(number) + ":1";
}

// One node that looks for a pool, with a disk that always writes.
struct Node {
    Node(int number_of,
         std::uint32_t expect,
         std::uint64_t counter,
         std::optional<PromisedPool> kept)
        : number(number_of),
          id(test_node(static_cast<std::uint8_t>(number_of))),
          incarnation{counter, 7},
          founding(id,
                   incarnation,
                   Facts{.name = "n", .address = address_of(number_of)},
                   {.expect = expect},
                   std::move(kept),
                   [state = static_cast<std::uint64_t>(number_of)]() mutable { return ++state; }) {}

    HelloReply greeting_of(const Hello& hello, BootTime now) const {
        HelloReply reply;
        reply.asked_at = hello.asked_at;
        reply.known = founding.known(now);
        if (founding.promise()) reply.standing = PoolStanding::promised;
        if (begun) reply.standing = PoolStanding::member;
        return reply;
    }

    int number;
    NodeId id;
    Incarnation incarnation;
    Founding founding;
    Value begun;
};

// Nodes that find each other over a network which loses what the test says.
struct Network {
    struct Flight {
        int from;
        std::string address;
        std::optional<NodeId> to;
        Message message;
    };
    std::map<int, std::unique_ptr<Node>> nodes;
    std::deque<Flight> flights;
    std::set<int> silent;  // neither hear nor speak
    std::function<bool(const Flight&)> loses = [](const Flight&) { return false; };
    BootTime now{1h};

    Node& add(int number, std::uint32_t expect, std::uint64_t counter = 1) {
        std::optional<PromisedPool> kept;
        if (const auto old = nodes.find(number); old != nodes.end())
            kept = old->second->founding.promise();
        nodes[number] = std::make_unique<Node>(number, expect, counter, kept);
        return *nodes[number];
    }
    void add_all(const std::vector<int>& numbers, std::uint32_t expect) {
        for (const int number : numbers) add(number, expect);
        for (const int number : numbers) discover(number, numbers);
    }
    void discover(int number, const std::vector<int>& others, bool complete = true) {
        std::vector<std::string> addresses;
        for (const int other : others) addresses.push_back(address_of(other));
        nodes[number]->founding.found(addresses, complete);
    }
    Header header_of(const Node& node) const {
        Header header;
        header.from = node.id;
        header.incarnation = node.incarnation;
        header.address = address_of(node.number);
        if (node.begun) header.pool_id = node.begun->pool_id;
        return header;
    }
    void post(Node& node, FoundingOutput out) {
        for (auto* sends : {&out.now, &out.gated}) {
            for (auto& one : *sends)
                flights.push_back({node.number, one.address, one.to, std::move(one.message)});
        }
        if (!out.begun || node.begun) return;
        node.begun = out.begun;
        for (const auto& member : node.begun->members) {
            if (member.id != node.id)
                flights.push_back(
                    {node.number, member.facts.address, member.id, Begun{node.begun->pool_id}});
        }
    }
    Node* at(const std::string& address) {
        for (auto& [number, node] : nodes)
            if (address_of(number) == address && !silent.contains(number)) return node.get();
        return nullptr;
    }
    void deliver(const Flight& flight) {
        auto* to = at(flight.address);
        if (to == nullptr || silent.contains(flight.from) || loses(flight)) return;
        if (flight.to && *flight.to != to->id) return;
        const auto header = header_of(*nodes[flight.from]);
        FoundingOutput out;
        if (const auto* hello = std::get_if<Hello>(&flight.message)) {
            to->founding.take(header, *hello, now);
            if (header.from != to->id)
                flights.push_back(
                    {to->number, header.address, header.from, to->greeting_of(*hello, now)});
        } else if (const auto* reply = std::get_if<HelloReply>(&flight.message)) {
            to->founding.take(header, *reply, now);
        } else if (const auto* promised = std::get_if<Promised>(&flight.message);
                   promised && to->begun) {
            if (promised->pool_id == to->begun->pool_id)
                flights.push_back(
                    {to->number, header.address, header.from, Begun{promised->pool_id}});
        } else if (promised) {
            to->founding.take(header, *promised, out);
        } else if (to->begun) {
            return;
        } else if (const auto* promise = std::get_if<Promise>(&flight.message)) {
            to->founding.take(header, *promise, out);
        } else if (const auto* begun = std::get_if<Begun>(&flight.message)) {
            to->founding.take(header, *begun, out);
        }
        post(*to, std::move(out));
    }
    void run(Duration time) {
        for (const auto end = now + time; now < end; now += 50ms) {
            for (auto& [number, node] : nodes) {
                if (node->begun) continue;
                FoundingOutput out;
                node->founding.greet(now, out);
                node->founding.consider(now, out);
                post(*node, std::move(out));
            }
            while (!flights.empty()) {
                const auto flight = std::move(flights.front());
                flights.pop_front();
                deliver(flight);
            }
        }
    }
    // The members of the pools that began.
    std::map<std::string, std::vector<NodeId>> pools() const {
        std::map<std::string, std::vector<NodeId>> found;
        for (const auto& [number, node] : nodes)
            if (node->begun) found[node->begun->pool_id].push_back(node->id);
        return found;
    }
    const std::string& waits_for(int number) const {
        return nodes.at(number)->founding.waits_for();
    }
};

bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

template <class M>
std::function<bool(const Network::Flight&)> losing() {
    return [](const Network::Flight& flight) { return std::holds_alternative<M>(flight.message); };
}

}  // namespace

// ------------------------------------------------------------------ beginning

TEST_CASE("as many as expected begin one pool, of which all are the first voters") {
    for (const std::uint32_t expect : {1u, 2u, 3u, 5u}) {
        CAPTURE(expect);
        Network network;
        std::vector<int> numbers;
        for (int number = 1; number <= static_cast<int>(expect); ++number)
            numbers.push_back(number);
        network.add_all(numbers, expect);
        network.run(3s);
        const auto pools = network.pools();
        REQUIRE(pools.size() == 1);
        CHECK(pools.begin()->second == test_nodes(numbers));
        const auto& value = *network.nodes[1]->begun;
        CHECK(value.members.size() == expect);
        CHECK(value.pool_id.size() == 32);
        CHECK(value.partitions.empty());
        for (const auto& member : value.members) CHECK_FALSE(member.live);
    }
}

TEST_CASE("a pool of this node alone has it as its only member") {
    Node node(1, 0, 1, {});
    const auto pool = node.founding.alone();
    REQUIRE(pool.members.size() == 1);
    CHECK(pool.members.front().id == node.id);
    CHECK(pool.members.front().facts.address == "n1:1");
}

TEST_CASE("of more than expected the first begin it, and the rest may join") {
    Network network;
    network.add_all({1, 2, 3, 4, 5}, 3);
    network.run(3s);
    REQUIRE(network.pools().size() == 1);
    CHECK(network.pools().begin()->second == test_nodes({1, 2, 3}));
    network.run(3s);
    CHECK(says(network.waits_for(4), "the pool that"));
    // Whoever did not begin it was told where it is.
    CHECK_FALSE(network.nodes[4]->founding.promise().has_value());
}

TEST_CASE("nobody begins a pool while it could be the wrong thing") {
    Network network;
    SUBCASE("nothing is expected") {
        network.add_all({1, 2}, 0);
        network.run(5s);
        CHECK(says(network.waits_for(1), "pool.expect is not set"));
    }
    SUBCASE("too few are there") {
        network.add_all({1, 2}, 3);
        network.run(5s);
        CHECK(says(network.waits_for(1), "1 more node"));
    }
    SUBCASE("nobody looked for others yet") {
        network.add(1, 1);
        network.run(5s);
        CHECK(says(network.waits_for(1), "pool.join"));
    }
    SUBCASE("discovery is incomplete") {
        network.add_all({1, 2}, 2);
        network.discover(1, {1, 2}, false);
        network.run(5s);
        CHECK(says(network.waits_for(1), "pool.join"));
    }
    SUBCASE("an address does not answer") {
        network.add_all({1, 2, 3, 4}, 3);
        network.silent = {4};
        network.run(5s);
        CHECK(says(network.waits_for(1), "an answer of n4:1"));
    }
    SUBCASE("an address that only another one knows does not answer") {
        network.add_all({1, 2, 3, 4}, 3);
        network.silent = {4};
        network.discover(1, {1, 2, 3});
        network.run(5s);
        CHECK(says(network.waits_for(1), "an answer of n4:1"));
    }
    SUBCASE("twice as many are there: two pools could begin side by side") {
        network.add_all({1, 2, 3, 4}, 2);
        network.run(5s);
        CHECK(says(network.waits_for(1), "fewer nodes"));
    }
    SUBCASE("there is a pool already") {
        network.add_all({1, 2, 3, 4}, 3);
        auto pool = std::make_shared<PoolState>();
        pool->pool_id = "there";
        network.nodes[4]->begun = pool;
        network.run(5s);
        CHECK(says(network.waits_for(1), "the pool that n4:1"));
        CHECK(network.nodes[1]->founding.pool(network.now)->pool_id == "there");
        CHECK(network.pools().size() == 1);
        return;
    }
    CHECK(network.pools().empty());
}

TEST_CASE("a node known by two addresses is one, and this node's own is nobody else's") {
    Network network;
    network.add_all({1, 2}, 3);
    auto& founding = network.nodes[1]->founding;
    founding.found({"alias-of-1", "alias-of-2", "n2:1"}, true);
    HelloReply reply;
    for (const char* asked_at : {"alias-of-2", "n2:1"}) {
        reply.asked_at = asked_at;
        founding.take(network.header_of(*network.nodes[2]), reply, network.now);
    }
    founding.take(network.header_of(*network.nodes[1]), Hello{"alias-of-1", {}}, network.now);
    FoundingOutput out;
    founding.consider(network.now, out);
    CHECK(founding.waits_for() == "1 more nodes of pool.expect");
}

// ------------------------------------------------------------------ promises

TEST_CASE("lost messages delay a pool and never make two") {
    Network network;
    network.add_all({1, 2, 3}, 3);
    SUBCASE("promises asked for") {
        network.loses = losing<Promise>();
    }
    SUBCASE("promises given") {
        network.loses = losing<Promised>();
    }
    SUBCASE("the news that it began") {
        network.loses = losing<Begun>();
    }
    network.run(3s);
    network.loses = [](const auto&) { return false; };
    network.run(3s);
    REQUIRE(network.pools().size() == 1);
    CHECK(network.pools().begin()->second == test_nodes({1, 2, 3}));
}

TEST_CASE("a promise is kept over a restart, and over a coordinator that is away") {
    Network network;
    network.add_all({1, 2, 3}, 3);
    network.loses = losing<Promised>();
    network.run(1s);
    REQUIRE(network.nodes[2]->founding.promise().has_value());
    const auto promise = *network.nodes[2]->founding.promise();
    network.silent = {1};
    network.add(2, 3, 2);
    network.discover(2, {1, 2, 3});
    network.run(5s);
    CHECK(network.nodes[2]->founding.promise() == promise);
    CHECK(network.pools().empty());
    network.silent = {};
    network.loses = [](const auto&) { return false; };
    network.run(5s);
    CHECK(network.pools().size() == 1);
}

TEST_CASE("who promised one coordinator promises no other") {
    Network network;
    network.add_all({2, 3}, 2);
    network.loses = losing<Promised>();
    network.run(1s);
    auto& three = network.nodes[3]->founding;
    REQUIRE(three.promise().has_value());
    const auto promise = *three.promise();
    auto genesis = std::make_shared<PoolState>(pool_of(3));
    FoundingOutput out;
    Header other;
    other.from = test_node(1);
    three.take(other, Promise{promise.attempt + 9, genesis}, out);
    three.take(other, Promise{promise.attempt + 9, nullptr}, out);
    CHECK(out.gated.empty());
    CHECK(three.promise() == promise);
    // The coordinator itself may ask again, not in an earlier attempt.
    Header coordinator;
    coordinator.from = test_node(2);
    three.take(coordinator, Promise{promise.attempt - 1, nullptr}, out);
    CHECK(three.promise() == promise);
    three.take(coordinator, Promise{promise.attempt + 1, nullptr}, out);
    CHECK_FALSE(three.promise().has_value());
    // And nobody promises a pool that it is not part of.
    three.take(other, Promise{1, std::make_shared<PoolState>(pool_of(2))}, out);
    CHECK_FALSE(three.promise().has_value());
}

TEST_CASE("a coordinator that must think again gives promises back, lost messages or not") {
    for (const bool lost : {false, true}) {
        CAPTURE(lost);
        Network network;
        network.add_all({2, 3, 4}, 3);
        network.loses = losing<Promised>();
        network.run(1s);
        REQUIRE(network.nodes[4]->founding.promise().has_value());
        // A node with a lower id comes: it is the one that begins the pool now.
        network.add(1, 3);
        for (const int number : {1, 2, 3, 4}) network.discover(number, {1, 2, 3, 4});
        if (lost) {
            network.loses = [](const Network::Flight& flight) {
                const auto* promise = std::get_if<Promise>(&flight.message);
                return promise != nullptr && flight.from == 2 && !promise->genesis;
            };
            network.run(2s);
        }
        network.loses = [](const auto&) { return false; };
        network.run(5s);
        REQUIRE(network.pools().size() == 1);
        CHECK(network.pools().begin()->second == test_nodes({1, 2, 3}));
    }
}

TEST_CASE("a coordinator that restarts with another expectation asks anew") {
    for (const std::uint32_t expect : {2u, 3u, 4u}) {
        CAPTURE(expect);
        Network network;
        network.add_all({1, 2, 3}, 3);
        network.loses = losing<Promised>();
        network.run(1s);
        REQUIRE(network.nodes[1]->founding.promise().has_value());
        network.loses = [](const auto&) { return false; };
        std::vector<int> numbers;
        for (int number = 1; number <= static_cast<int>(expect); ++number)
            numbers.push_back(number);
        if (expect < 3) network.nodes.erase(3);
        for (const int number : numbers) network.add(number, expect, 2);
        for (const int number : numbers) network.discover(number, numbers);
        network.run(8s);
        REQUIRE(network.pools().size() == 1);
        CHECK(network.pools().begin()->second == test_nodes(numbers));
    }
}

TEST_CASE("promises to an attempt that was given up do not count") {
    Network network;
    network.add_all({1, 2}, 2);
    network.loses = losing<Promised>();
    network.run(1s);
    auto& one = network.nodes[1]->founding;
    const auto promise = *one.promise();
    FoundingOutput out;
    one.take(network.header_of(*network.nodes[2]), Promised{promise.attempt - 1, "p"}, out);
    CHECK(out.begun == nullptr);
    REQUIRE(out.gated.size() == 1);
    CHECK(std::get<Promise>(out.gated.front().message).genesis == nullptr);
    Header stranger;
    stranger.from = test_node(9);
    one.take(stranger, Promised{promise.attempt, promise.genesis->pool_id}, out);
    CHECK(out.begun == nullptr);
    one.take(network.header_of(*network.nodes[2]), Promised{promise.attempt, "p"}, out);
    CHECK(out.begun == promise.genesis);
}

TEST_CASE("only the coordinator that was promised says that its pool began") {
    Network network;
    network.add_all({1, 2}, 2);
    network.loses = losing<Promised>();
    network.run(1s);
    auto& two = network.nodes[2]->founding;
    const auto promise = *two.promise();
    FoundingOutput out;
    Header other;
    other.from = test_node(3);
    two.take(other, Begun{promise.genesis->pool_id}, out);
    two.take(network.header_of(*network.nodes[1]), Begun{"another"}, out);
    CHECK(out.begun == nullptr);
    two.take(network.header_of(*network.nodes[1]), Begun{promise.genesis->pool_id}, out);
    CHECK(out.begun == promise.genesis);
}

// ------------------------------------------------------------------ who is there

TEST_CASE("what is known at first hand: what was looked up, and who answered lately") {
    Network network;
    network.add_all({1, 2}, 2);
    auto& one = network.nodes[1]->founding;
    one.found({"n7:1"}, true);
    HelloReply reply;
    reply.asked_at = "n2:1";
    reply.known = {"n5:1"};
    one.take(network.header_of(*network.nodes[2]), reply, network.now);
    CHECK(one.known(network.now) == std::vector<std::string>{"n2:1", "n7:1"});
    FoundingOutput out;
    one.greet(network.now, out);
    CHECK(out.look);
    std::vector<std::string> greeted;
    for (const auto& send : out.now) greeted.push_back(send.address);
    CHECK(greeted == std::vector<std::string>{"n2:1", "n5:1", "n7:1"});
    CHECK(one.known(network.now + 4s) == std::vector<std::string>{"n7:1"});
    FoundingOutput soon;
    one.greet(network.now + 100ms, soon);
    CHECK(soon.now.empty());
    CHECK_FALSE(soon.look);
}

TEST_CASE("the pool to join: the newest incarnation of the only one that is seen") {
    Network network;
    network.add_all({1, 2, 3}, 3);
    auto& one = network.nodes[1]->founding;
    const auto see = [&](int number, const char* pool, std::uint64_t incarnation,
                         const char* leader) {
        Header header = network.header_of(*network.nodes[number]);
        header.pool_id = pool;
        header.pool_incarnation = incarnation;
        HelloReply reply;
        reply.asked_at = header.address;
        reply.standing = PoolStanding::member;
        reply.leader_address = leader;
        one.take(header, reply, network.now);
    };
    CHECK_FALSE(one.pool(network.now).has_value());
    see(2, "p", 2, "n5:1");
    CHECK(one.pool(network.now)->leader_address == "n5:1");
    see(3, "p", 1, "");
    CHECK(one.pool(network.now)->incarnation == 2);
    CHECK_FALSE(one.pool(network.now + 4s).has_value());
    see(3, "q", 9, "");
    CHECK_FALSE(one.pool(network.now).has_value());  // which one, an operator must say
}
