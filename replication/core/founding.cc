#include "replication/core/founding.h"

#include <algorithm>

namespace posthorse::replication {
namespace {

constexpr Duration fresh_for = std::chrono::seconds{3};

}  // namespace

Founding::Founding(NodeId self,
                   Incarnation incarnation,
                   Facts facts,
                   Settings settings,
                   std::optional<PromisedPool> promise,
                   UniqueFunction<std::uint64_t()> random)
    : self_(self),
      facts_(std::move(facts)),
      settings_(settings),
      promise_(std::move(promise)),
      random_(std::move(random)),
      attempt_(incarnation.counter << 32) {}

// ------------------------------------------------------------------ who is there

void Founding::greet(BootTime now, Output& out) {
    if (now >= next_look_) {
        next_look_ = now + settings_.look_every;
        out.look = true;
    }
    if (now < next_hello_) return;
    next_hello_ = now + settings_.hello_every;
    if (promise_ && promise_->coordinator != self_) remind(out);
    const auto candidates = known(now);
    auto addresses = candidates;
    for (const auto& [address, when] : mentioned_) {
        if (now - when <= fresh_for) addresses.push_back(address);
    }
    std::sort(addresses.begin(), addresses.end());
    addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
    for (const auto& address : addresses) {
        if (!is_own(address)) out.now.push_back({address, {}, Hello{address, candidates}});
    }
}

void Founding::found(std::vector<std::string> addresses, bool complete) {
    looked_ = true;
    complete_ = complete;
    discovered_ = std::move(addresses);
}

bool Founding::is_own(const std::string& address) const {
    return address == facts_.address || own_addresses_.contains(address);
}

bool Founding::is_fresh(const Peer& peer, BootTime now) const {
    return now - peer.heard <= fresh_for;
}

std::vector<std::string> Founding::known(BootTime now) const {
    auto addresses = discovered_;
    for (const auto& [address, peer] : peers_) {
        if (is_fresh(peer, now)) addresses.push_back(address);
    }
    std::sort(addresses.begin(), addresses.end());
    addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
    return addresses;
}

// Who greets exists, and must be asked before a pool may begin without it.
void Founding::take(const Header& from, const Hello& message, BootTime now) {
    if (from.from == self_) {
        own_addresses_.insert(message.asked_at);
        return;
    }
    mentioned_[from.address] = now;
    for (const auto& address : message.known) mentioned_[address] = now;
}

void Founding::take(const Header& from, const HelloReply& message, BootTime now) {
    if (from.from == self_) return;
    auto& peer = peers_[message.asked_at];
    peer = {from.from, from.name, from.address, now, message.standing, {}};
    if (message.standing == PoolStanding::member) {
        peer.pool = {from.pool_id, from.pool_incarnation,
                     message.leader_address.empty() ? from.address : message.leader_address};
    }
    for (const auto& address : message.known) mentioned_[address] = now;
}

std::optional<Founding::Pool> Founding::pool(BootTime now) const {
    std::optional<Pool> found;
    for (const auto& [address, peer] : peers_) {
        if (!is_fresh(peer, now) || peer.standing != PoolStanding::member) continue;
        if (found && found->pool_id != peer.pool.pool_id) return std::nullopt;
        if (!found || found->incarnation < peer.pool.incarnation) found = peer.pool;
    }
    return found;
}

std::map<NodeId, Member> Founding::candidates(BootTime now) const {
    std::map<NodeId, Member> nodes;
    nodes[self_].facts = facts_;
    for (const auto& [address, peer] : peers_) {
        if (!is_fresh(peer, now)) continue;
        nodes[peer.node].facts.name = peer.name;
        nodes[peer.node].facts.address = peer.address;
    }
    for (auto& [id, member] : nodes) member.id = id;
    return nodes;
}

// ------------------------------------------------------------------ beginning

std::string Founding::obstacle(BootTime now) const {
    if (settings_.expect == 0) return "a pool to join: pool.expect is not set";
    if (!looked_ || !complete_) return "the addresses of pool.join";
    for (const auto& [address, peer] : peers_) {
        if (is_fresh(peer, now) && peer.standing == PoolStanding::member)
            return "the pool that " + address + " is a member of";
    }
    auto addresses = known(now);
    for (const auto& [address, when] : mentioned_) {
        if (now - when <= fresh_for) addresses.push_back(address);
    }
    for (const auto& address : addresses) {
        if (is_own(address)) continue;
        const auto peer = peers_.find(address);
        if (peer == peers_.end() || !is_fresh(peer->second, now)) return "an answer of " + address;
    }
    return {};
}

void Founding::consider(BootTime now, Output& out) {
    const auto nodes = candidates(now);
    waits_for_ = obstacle(now);
    const auto expect = settings_.expect;
    if (waits_for_.empty() && nodes.size() < expect)
        waits_for_ = std::to_string(expect - nodes.size()) + " more nodes of pool.expect";
    if (waits_for_.empty() && nodes.size() >= 2 * std::size_t{expect} && expect > 1)
        waits_for_ =
            "fewer nodes: pool.expect must exceed half of those that start, and there are " +
            std::to_string(nodes.size());
    const bool mine = promise_ && promise_->coordinator == self_;
    if (!waits_for_.empty()) {
        if (mine) give_back(out);
        return;
    }
    if (nodes.begin()->first != self_) {
        waits_for_ = "the node with the lowest id, which begins the pool";
        if (mine) give_back(out);
        return;
    }
    if (promise_ && !mine) {
        waits_for_ =
            "the coordinator that this node has promised: " + promise_->coordinator.to_string();
        return;
    }
    coordinate(nodes, out);
}

void Founding::coordinate(const std::map<NodeId, Member>& candidates, Output& out) {
    const auto same_nodes = [&] {
        auto candidate = candidates.begin();
        for (const auto& member : promise_->genesis->members) {
            if (candidate->first != member.id) return false;
            ++candidate;
        }
        return true;
    };
    if (!promise_ || !same_nodes()) {
        promised_.clear();
        auto first = first_value(candidates, settings_.expect);
        promise_ = {self_, ++attempt_, std::make_shared<const PoolState>(std::move(first))};
    }
    waits_for_ = "promises";
    if (promised_.size() + 1 == promise_->genesis->members.size()) {
        out.begun = promise_->genesis;
        return;
    }
    ask_for_promises(out);
}

void Founding::ask_for_promises(Output& out) const {
    for (const auto& member : promise_->genesis->members) {
        if (member.id == self_ || promised_.contains(member.id)) continue;
        out.gated.push_back(
            {member.facts.address, member.id, Promise{promise_->attempt, promise_->genesis}});
    }
}

// A question may have been late, and its promise forgotten by whoever asked.
void Founding::remind(Output& out) const {
    const auto* coordinator = promise_->genesis->member(promise_->coordinator);
    if (coordinator == nullptr) return;
    out.gated.push_back({coordinator->facts.address, coordinator->id,
                         Promised{promise_->attempt, promise_->genesis->pool_id}});
}

// Before the pool began nobody but the coordinator knows that it could: it may think again.
void Founding::give_back(Output& out) {
    attempt_ += 1;
    for (const auto& member : promise_->genesis->members) {
        if (member.id == self_) continue;
        out.gated.push_back({member.facts.address, member.id, Promise{attempt_, nullptr}});
    }
    promise_.reset();
    promised_.clear();
}

void Founding::take(const Header& from, const Promise& message, Output& out) {
    if (promise_ && promise_->coordinator != from.from) return;
    if (promise_ && message.attempt < promise_->attempt) return;
    if (!message.genesis) {
        promise_.reset();
        return;
    }
    if (message.genesis->member(self_) == nullptr) return;
    promise_ = {from.from, message.attempt, message.genesis};
    out.gated.push_back(
        {from.address, from.from, Promised{message.attempt, message.genesis->pool_id}});
}

void Founding::take(const Header& from, const Promised& message, Output& out) {
    const bool mine = promise_ && promise_->coordinator == self_;
    if (!mine || message.attempt != promise_->attempt) {
        // Promised to an attempt that was given up.
        out.gated.push_back({from.address, from.from, Promise{message.attempt, nullptr}});
        return;
    }
    if (promise_->genesis->member(from.from) == nullptr) return;
    promised_.insert(from.from);
    if (promised_.size() + 1 == promise_->genesis->members.size()) out.begun = promise_->genesis;
}

void Founding::take(const Header& from, const Begun& message, Output& out) {
    if (!promise_ || promise_->coordinator != from.from) return;
    if (message.pool_id == promise_->genesis->pool_id) out.begun = promise_->genesis;
}

PoolState Founding::alone() {
    return first_value(
        {{self_, {.id = self_, .facts = facts_, .incarnation = {}, .acknowledged = {}}}}, 1);
}

PoolState Founding::first_value(const std::map<NodeId, Member>& candidates, std::size_t count) {
    PoolState pool;
    pool.pool_id = new_pool_id();
    pool.settings = settings_.pool;
    for (const auto& [id, member] : candidates) {
        if (pool.members.size() < count) pool.members.push_back(member);
    }
    return pool;
}

std::string Founding::new_pool_id() {
    NodeId random;
    for (auto& byte : random.bytes) byte = static_cast<std::uint8_t>(random_());
    return random.to_string();
}

}  // namespace posthorse::replication
