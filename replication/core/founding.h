// How a node finds its pool, or begins one with others.
//
// Place     Pure, under control_core.h.
// Contract  A pool begins when exactly `expect` nodes have durably and exclusively promised the
//           same first configuration to its coordinator, the one with the lowest id. Nobody
//           coordinates while discovery is incomplete, shows a pool, an address that does not
//           answer, or twice as many candidates as expected (then two pools could begin side by
//           side). Whoever promised keeps its promise until the coordinator gives it back; whoever
//           hears from the promised pool begins too.
//           Messages in `gated` depend on promise(): they leave after it is written.
// Owner     ControlCore.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proto/types/function.h"
#include "replication/core/control_message.h"

namespace posthorse::replication {

struct FoundingOutput {
    struct Send {
        std::string address;
        std::optional<NodeId> to;
        Message message;
    };
    std::vector<Send> now;
    std::vector<Send> gated;
    bool look = false;
    Value begun;  // the pool begins with this value
};

class Founding {
public:
    struct Settings {
        std::uint32_t expect = 0;
        PoolSettings pool;
        Duration hello_every = std::chrono::milliseconds{500};
        Duration look_every = std::chrono::seconds{2};
    };
    struct Pool {  // that a peer is a member of
        std::string pool_id;
        std::uint64_t incarnation = 0;
        std::string leader_address;  // or of the peer
    };
    using Output = FoundingOutput;

    // `incarnation`: of this start; numbers of attempts grow with it.
    Founding(NodeId self,
             Incarnation incarnation,
             Facts facts,
             Settings settings,
             std::optional<PromisedPool> promise,
             UniqueFunction<std::uint64_t()> random);

    // The value of a pool that begins with this node alone.
    PoolState alone();

    // Greets everybody known, looks for more, and reminds whom this node promised.
    void greet(BootTime now, Output& out);
    // Begins a pool when that may be.
    void consider(BootTime now, Output& out);
    void found(std::vector<std::string> addresses, bool complete);

    void take(const Header& from, const Hello& message, BootTime now);
    void take(const Header& from, const HelloReply& message, BootTime now);
    void take(const Header& from, const Promise& message, Output& out);
    void take(const Header& from, const Promised& message, Output& out);
    void take(const Header& from, const Begun& message, Output& out);

    // The one pool that peers are members of, when it is one.
    std::optional<Pool> pool(BootTime now) const;
    // Addresses known at first hand: discovered, or heard from lately.
    std::vector<std::string> known(BootTime now) const;
    const std::optional<PromisedPool>& promise() const noexcept { return promise_; }
    // Why no pool has begun yet, for the log.
    const std::string& waits_for() const noexcept { return waits_for_; }

private:
    struct Peer {
        NodeId node;
        std::string name;
        std::string address;  // as it says itself
        BootTime heard;
        PoolStanding standing = PoolStanding::looking;
        Pool pool;
    };

    bool is_own(const std::string& address) const;
    bool is_fresh(const Peer& peer, BootTime now) const;
    std::map<NodeId, Member> candidates(BootTime now) const;
    std::string obstacle(BootTime now) const;
    void coordinate(const std::map<NodeId, Member>& candidates, Output& out);
    void ask_for_promises(Output& out) const;
    void remind(Output& out) const;
    void give_back(Output& out);
    PoolState first_value(const std::map<NodeId, Member>& candidates, std::size_t count);
    std::string new_pool_id();

    const NodeId self_;
    const Facts facts_;
    const Settings settings_;
    std::optional<PromisedPool> promise_;
    UniqueFunction<std::uint64_t()> random_;
    bool looked_ = false;
    bool complete_ = false;
    std::vector<std::string> discovered_;
    std::map<std::string, BootTime> mentioned_;  // at second hand
    std::map<std::string, Peer> peers_;          // by the address that it was asked at
    std::set<std::string> own_addresses_;        // where this node heard itself
    std::set<NodeId> promised_;                  // to this node, its own attempt
    std::uint64_t attempt_ = 0;
    BootTime next_hello_{};
    BootTime next_look_{};
    std::string waits_for_;
};

}  // namespace posthorse::replication
