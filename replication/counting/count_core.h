// What the pool counts together, seen from one node: failed logins, messages of a sender.
//
// Place     Pure: events in, batches out. pool_counts.h drives it.
// Contract  Every node keeps what it counted itself, and tells a count's two homes (count_home.h)
//           all of it, whole: a batch that is lost, late or doubled does no harm, and new homes are
//           told as soon as the members change. A home adds up what the nodes told it and answers
//           with what the others counted. At most one batch is on the way to a member, whatever is
//           counted meanwhile; only what changed, or was looked at since it was told, is in it.
//           A level is this node's count as it is now, and the others' as a home told them last.
//           Degraded: while neither home answers, a level is this node's own, and reached() judges
//           it by this node's share of the limit.
//           What a dead node counted is known as long as one of the homes that it told lives.
// Owner     pool_counts.h, on home.
// Bounds    Settings: names that this node counts, and that it keeps for the pool; beyond them
//           nothing new is counted, and dropped() says how often that was.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proto/types/ids.h"
#include "replication/counting/sliding_count.h"

namespace posthorse::replication {

struct CountKey {
    std::string name;  // what is counted, of whom: "auth-failed/192.0.2.1"
    Duration window{};
    auto operator<=>(const CountKey&) const = default;
};

struct CountLevel {
    std::uint64_t count = 0;
    std::uint64_t members = 1;
    bool degraded = false;  // `count` is this node's alone
    bool current = true;    // a home told it a moment ago
    bool reached(std::uint64_t limit) const {
        return degraded ? count * members >= limit : count >= limit;
    }
};

struct CountEntry {
    CountKey key;
    std::vector<CountSlot> slots;  // all that the sender counted
    bool operator==(const CountEntry&) const = default;
};
struct CountBatch {
    Incarnation incarnation;  // of the sender: a new start counts anew
    std::vector<CountEntry> entries;
};
struct CountOutgoing {
    NodeId to;
    CountBatch batch;
};

struct CountMember {
    NodeId id;
    Incarnation incarnation;
    bool operator==(const CountMember&) const = default;
};

class CountCore {
public:
    struct Settings {
        // What a home said: is worth no new question; counts, when no answer to one comes.
        Duration current_for = std::chrono::milliseconds{100};
        Duration stale_after = std::chrono::seconds{3};
        Duration retry_after = std::chrono::milliseconds{500};
        std::size_t own_max = 100'000;
        std::size_t kept_max = 200'000;
        std::size_t batch_max = 500;
    };
    struct Now {
        WallTime wall;
        BootTime boot;
    };

    CountCore(NodeId self, Settings settings);

    // Those that live, this node among them or not.
    void use_members(const std::vector<CountMember>& members);

    void add(const CountKey& key, std::uint64_t amount, Now now);
    // Looking makes its homes be asked, by the next tick().
    CountLevel look(const CountKey& key, Now now);

    std::vector<CountOutgoing> tick(Now now);
    // The answer to the batch that is on the way to `by`: what others counted, entry by entry.
    void answered(const NodeId& by, const std::vector<std::uint64_t>& others, Now now);
    void failed(const NodeId& by, Now now);

    // As a home.
    std::vector<std::uint64_t> receive(const NodeId& from, const CountBatch& batch, Now now);

    std::size_t own_count() const noexcept { return own_.size(); }
    std::size_t kept_count() const noexcept { return kept_.size(); }
    std::uint64_t dropped() const noexcept { return dropped_; }

private:
    struct Home {
        std::uint64_t has = 0;     // revision of what this node counted
        std::uint64_t others = 0;  // counted by others, as it said
        std::optional<BootTime> said_at;
    };
    struct Own {
        explicit Own(Duration window) : mine(window) {}
        SlidingCount mine;
        std::uint64_t revision = 1;
        std::map<NodeId, Home> homes;
        std::optional<BootTime> looked_at;
    };
    struct Sent {
        CountKey key;
        std::uint64_t revision;
    };
    struct Link {
        std::optional<std::vector<Sent>> on_the_way;
        BootTime not_before{};
    };
    struct Counter {
        NodeId node;
        Incarnation incarnation;
        auto operator<=>(const Counter&) const = default;
    };
    using Kept = std::map<Counter, SlidingCount>;

    Own* own(const CountKey& key);
    void find_homes(const CountKey& key, Own& own);
    bool is_due(const Own& own, const Home& home, Now now) const;
    bool said_within(Duration time, const Home& home, Now now) const;
    // False: it must wait for a later tick.
    bool hand_over(const CountKey& key, Own& own, Now now, std::map<NodeId, CountBatch>& batches);
    void keep_own(const CountKey& key, Own& own, Home& home, Now now);
    std::uint64_t keep(const Counter& from,
                       const CountKey& key,
                       const std::vector<CountSlot>& slots,
                       Now now);
    void sweep(Now now);

    const NodeId self_;
    const Settings settings_;
    Incarnation incarnation_;  // of this node, as the pool knows it
    std::vector<CountMember> members_;
    std::vector<NodeId> ids_;
    std::map<CountKey, Own> own_;
    std::set<CountKey> pending_;  // of own_: perhaps due to some home
    std::map<NodeId, Link> links_;
    std::map<CountKey, Kept> kept_;
    std::uint64_t dropped_ = 0;
    BootTime next_sweep_{};
};

}  // namespace posthorse::replication
