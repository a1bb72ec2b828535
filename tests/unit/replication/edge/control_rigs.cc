#include "tests/unit/replication/edge/control_rigs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "replication/edge/embedded_control.h"
#include "replication/edge/etcd_control.h"
#include "tests/unit/replication/edge/peer_fixture.h"

namespace posthorse::tests {

using namespace replication;
using namespace std::chrono_literals;

// ------------------------------------------------------------------ any rig

void ControlRig::add(int number, unsigned expect) {
    nodes_[number].expect = expect;
}

Facts ControlRig::facts(int number) const {
    const auto name = "n" + std::to_string(number);
    return {.name = name, .address = name + ":1", .zone = {}, .release = {}};
}

void ControlRig::start(int number) {
    auto& node = nodes_.at(number);
    REQUIRE(node.control == nullptr);
    node.started = node.left = false;
    node.control = open(number, node);
    node.control->start(
        [&node](const Result<PoolState>& result) { node.started = result.has_value(); });
}

void ControlRig::make_pool(int nodes) {
    const auto expect = nodes == 1 ? 0u : static_cast<unsigned>(nodes);
    for (int number = 1; number <= nodes; ++number) add(number, expect);
    for (int number = 1; number <= nodes; ++number) start(number);
    REQUIRE(advance_until([&] {
        for (int number = 1; number <= nodes; ++number)
            if (!acts(number) || owned(number) == 0) return false;
        return true;
    }));
}

void ControlRig::stop(int number) {
    auto& node = nodes_.at(number);
    node.frozen = node.store_hangs = false;
    node.unsynced.clear();
    close(number, node);
    node.control.reset();
}

void ControlRig::shut_down() {
    for (auto& [number, node] : nodes_)
        if (node.control) stop(number);
}

void ControlRig::leave(int number) {
    auto& node = nodes_.at(number);
    node.control->leave([&node](const Result<void>&) { node.left = true; });
}

void ControlRig::copy_disk(int from, int to) {
    const auto& place = nodes_.at(to).directory.path();
    std::filesystem::remove_all(place);
    std::filesystem::copy(nodes_.at(from).directory.path(), place,
                          std::filesystem::copy_options::recursive);
}

Result<void> ControlRig::propose(int number, Change change) {
    const auto answer = std::make_shared<std::optional<Result<void>>>();
    control(number).propose(std::move(change),
                            [answer](Result<void> result) { *answer = std::move(result); });
    REQUIRE(advance_until([&] { return answer->has_value(); }));
    return **answer;
}

void ControlRig::probe(Node& node, Completion<> done) {
    if (node.store_hangs) return node.unsynced.push_back(std::move(done));
    done({});
}

void ControlRig::tick(Node& node) {
    if (!node.store_hangs)
        for (auto& done : std::exchange(node.unsynced, {})) done({});
    node.control->tick();
}

bool ControlRig::advance_until(const std::function<bool()>& condition) {
    const auto since = now();
    while (!condition()) {
        if (patience_ends(since)) return false;
        step();
        check_one_owner();
    }
    return true;
}

bool ControlRig::acts(int number) {
    const auto& node = nodes_.at(number);
    return node.control && node.started && node.control->lease_live(now(), Duration{}) &&
           node.control->read().is_live(node.control->self(), node.control->incarnation());
}

std::size_t ControlRig::owned(int number) {
    const auto& partitions = control(number).read().partitions;
    return static_cast<std::size_t>(
        std::count_if(partitions.begin(), partitions.end(),
                      [&](const PartitionState& one) { return one.owner == id(number); }));
}

// P3.
void ControlRig::check_one_owner() {
    std::map<std::pair<std::string, PartitionId>, int> owners;
    for (auto& [number, node] : nodes_) {
        if (!node.control || !node.control->lease_live(now(), Duration{})) continue;
        const auto& acting = node.control->read();
        for (const auto& partition : acting.partitions) {
            if (partition.owner != node.control->self()) continue;
            auto& owner = owners[{acting.pool_id, partition.id}];
            if (owner != 0) {
                two_owners_ = "partition " + std::to_string(partition.id.value) + " is of " +
                              std::to_string(owner) + " and of " + std::to_string(number);
                if (!tolerates_two_owners_) FAIL(two_owners_);
            }
            owner = number;
        }
    }
}

// ------------------------------------------------------------------ a node's home

void NodeHome::post(UniqueFunction<void()> work) {
    all_.post([this, work = std::move(work)]() mutable {
        if (frozen_) {
            frozen_work_.push_back(std::move(work));
        } else {
            work();
        }
    });
}

void NodeHome::thawed() {
    for (auto& work : std::exchange(frozen_work_, {})) all_.post(std::move(work));
}

// ------------------------------------------------------------------ among themselves

EmbeddedRig::EmbeddedRig() = default;

EmbeddedRig::~EmbeddedRig() {
    shut_down();
}

std::unique_ptr<MembershipControl> EmbeddedRig::open(int number, Node& node) {
    auto& home = homes_[number];
    if (!home) home = std::make_unique<NodeHome>(home_, node.frozen);
    ControlCore::Settings settings;
    settings.facts = facts(number);
    settings.alone = node.expect == 0;
    settings.expect = node.expect;
    auto opened = EmbeddedControl::open(
        node.directory.path() + "/control", settings,
        {.home = *home,
         .disk = *home,
         .clock = clock_,
         .random = [this] { return random(); },
         .send = [this, number](Outgoing message) { deliver(number, std::move(message)); },
         .look =
             [this](const EmbeddedControl::Discovered& found) {
                 std::vector<std::string> all;
                 for (const auto& [other, its] : nodes_) all.push_back(facts(other).address);
                 found(all, true);
             },
         .probe = [this, &node](Completion<> done) { probe(node, std::move(done)); },
         .notice = [](const ControlNotice&) {},
         .stranger = [&node](std::string why) { node.stranger = std::move(why); },
         .failed = [](const Error& error) { FAIL(error.what); }});
    if (!opened) FAIL(opened.error().what);
    return *std::move(opened);
}

void EmbeddedRig::close(int, Node&) {}

void EmbeddedRig::deliver(int from, Outgoing message) {
    for (auto& [number, node] : nodes_) {
        if (facts(number).address != message.address || !homes_.contains(number)) continue;
        if (from != number && (cut_.contains(from) || cut_.contains(number))) return;
        homes_.at(number)->post([&to = node, message = std::move(message)] {
            if (!to.control) return;
            to.control->receive(message.header, message.message, [](Refusal) {});
        });
        return;
    }
}

void EmbeddedRig::step() {
    clock_.now += 50ms;
    for (auto& [number, node] : nodes_) {
        if (!node.control || node.frozen) continue;
        homes_.at(number)->thawed();
        tick(node);
    }
    home_.run_for({});
}

bool EmbeddedRig::patience_ends(BootTime since) const {
    return now() - since > 300s;
}

// ------------------------------------------------------------------ through etcd

// On loopback a lease may be short; a machine that is busy must not lose it.
constexpr Duration etcd_lease_ttl = 3s;

// How many members etcd has; the proof `etcd` says three.
int etcd_members() {
    const char* wanted = std::getenv("POSTHORSE_TEST_ETCD_MEMBERS");
    return wanted == nullptr ? 1 : std::atoi(wanted);
}

std::vector<std::unique_ptr<EtcdProcess>> start_etcd() {
    std::vector<EtcdProcess::Membership> members;
    std::string cluster;
    for (int i = 0; i < etcd_members(); ++i) {
        members.push_back({"m" + std::to_string(i), free_port(), {}});
        cluster += (i == 0 ? "" : ",") + members.back().name +
                   "=http://127.0.0.1:" + std::to_string(members.back().peer_port);
    }
    std::vector<std::unique_ptr<EtcdProcess>> etcd;
    for (auto& member : members) {
        member.cluster = cluster;
        etcd.push_back(std::make_unique<EtcdProcess>(EtcdTls{}, member));
    }
    return etcd;
}

WallTime EtcdRig::MachineClock::wall() const {
    return std::chrono::floor<Duration>(std::chrono::system_clock::now());
}

EtcdRig::EtcdRig() : etcd_(start_etcd()) {}

EtcdRig::~EtcdRig() {
    shut_down();
}

EtcdRig::Ways& EtcdRig::ways(int number) {
    auto& ways = ways_[number];
    if (ways.empty()) {
        for (const auto& member : etcd_) ways.push_back(std::make_unique<TcpRelay>(member->port()));
    }
    return ways;
}

std::unique_ptr<MembershipControl> EtcdRig::open(int number, Node& node) {
    auto& home = homes_[number];
    if (!home) home = std::make_unique<NodeHome>(home_, node.frozen);
    EtcdCore::Settings settings{.facts = facts(number), .expect = node.expect};
    settings.pool.lease_ttl = etcd_lease_ttl;
    EtcdClient::Settings etcd{.endpoints = {}, .prefix = "/posthorse"};
    for (const auto& way : ways(number))
        etcd.endpoints.push_back("http://127.0.0.1:" + std::to_string(way->port()));
    auto opened = EtcdControl::open(
        node.directory.path() + "/control", settings, std::move(etcd),
        {.home = *home,
         .disk = *home,
         .clock = clock_,
         .random = [this] { return random(); },
         .probe = [this, &node](Completion<> done) { probe(node, std::move(done)); },
         .notice = [](const ControlNotice&) {},
         .stranger = [&node](std::string why) { node.stranger = std::move(why); },
         .failed = [](const Error& error) { FAIL(error.what); }});
    if (!opened) FAIL(opened.error().what);
    return *std::move(opened);
}

void EtcdRig::close(int number, Node& node) {
    homes_.at(number)->thawed();
    bool stopped = false;
    static_cast<EtcdControl&>(*node.control).stop([&] { stopped = true; });
    REQUIRE(home_.run_until([](BootTime) {}, [&] { return stopped; }));
}

void EtcdRig::step() {
    if (now() - ticked_ >= 20ms) {
        ticked_ = now();
        for (auto& [number, node] : nodes_) {
            if (!node.control || node.frozen) continue;
            homes_.at(number)->thawed();
            tick(node);
        }
    }
    home_.run_for(5ms);
}

bool EtcdRig::patience_ends(BootTime since) const {
    return now() - since > 60s;
}

}  // namespace posthorse::tests
