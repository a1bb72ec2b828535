#include "replication/core/placement.h"

#include <algorithm>
#include <array>

namespace posthorse::replication {
namespace {

bool is_in(const std::vector<NodeId>& nodes, const NodeId& node) {
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

bool takes_part(const Member& member) {
    return member.live && !member.draining;
}

std::string zone_of(const PoolState& state, const NodeId& node) {
    const auto* member = state.member(node);
    return member == nullptr ? std::string{} : member->facts.zone;
}

// How many of `nodes` are in the zone of `node`.
std::size_t zone_mates(const PoolState& state,
                       const std::vector<NodeId>& nodes,
                       const NodeId& node) {
    const auto zone = zone_of(state, node);
    if (zone.empty()) return 0;
    return static_cast<std::size_t>(std::count_if(
        nodes.begin(), nodes.end(),
        [&](const auto& other) { return other != node && zone_of(state, other) == zone; }));
}

Configuration with(Configuration voters, const NodeId& node) {
    voters.voters.push_back(node);
    std::sort(voters.voters.begin(), voters.voters.end());
    return voters;
}

Configuration without(Configuration voters, const NodeId& node) {
    std::erase(voters.voters, node);
    return voters;
}

// --- voters

struct Electorate {
    const Configuration& now;
    const PoolState& state;
    const std::vector<NodeId>& away;

    bool present(const NodeId& node) const {
        const auto* member = state.member(node);
        return member != nullptr && takes_part(*member) && !is_in(away, node);
    }
    // Left, removed, or on its way out: its vote moves away even when nobody takes its place.
    bool gone(const NodeId& node) const {
        const auto* member = state.member(node);
        return member == nullptr || member->draining;
    }
    // Those who are heard could decide with it: a smaller one that they cannot fill would hold up
    // everything until the others are back.
    bool can_decide(const Configuration& next) const { return next.is_majority(heard(next)); }
    std::vector<NodeId> heard(const Configuration& next) const {
        auto nodes = next.voters;
        std::erase_if(nodes, [&](const NodeId& node) { return is_in(away, node); });
        return nodes;
    }
    // Everybody who serves, and is heard or not.
    std::size_t count_staying() const {
        return static_cast<std::size_t>(
            std::count_if(state.members.begin(), state.members.end(),
                          [](const Member& member) { return !member.draining; }));
    }
    std::size_t count_present() const {
        return static_cast<std::size_t>(
            std::count_if(state.members.begin(), state.members.end(),
                          [&](const Member& member) { return present(member.id); }));
    }
    // A present node without a vote, where fewest voters share its zone.
    std::optional<NodeId> spare() const {
        std::optional<NodeId> best;
        for (const auto& member : state.members) {
            if (!present(member.id) || now.contains(member.id)) continue;
            if (!best ||
                zone_mates(state, now.voters, member.id) < zone_mates(state, now.voters, *best))
                best = member.id;
        }
        return best;
    }
    // The voter to part with: gone before away, then the one whose zone has most of them.
    template <class Condition>
    std::optional<NodeId> voter(Condition condition) const {
        std::optional<NodeId> worst;
        for (const NodeId& node : now.voters) {
            if (!condition(node)) continue;
            if (!worst ||
                zone_mates(state, now.voters, node) > zone_mates(state, now.voters, *worst))
                worst = node;
        }
        return worst;
    }
    // A zone of fewer voters takes a vote from one of more, as nodes of other zones come.
    std::optional<Configuration> spread(const NodeId& newcomer) const {
        const auto crowded = voter([](const NodeId&) { return true; });
        if (!crowded ||
            zone_mates(state, now.voters, *crowded) <= zone_mates(state, now.voters, newcomer))
            return std::nullopt;
        return with(without(now, *crowded), newcomer);
    }
    // Grown to what those who are here make worth while, shrunk only to what all who stay do:
    // others may be back soon.
    std::optional<Configuration> next() const {
        const auto least = voters_wanted(count_present());
        const auto most = voters_wanted(count_staying());
        const auto to_part = voter([&](const NodeId& node) { return gone(node); });
        const auto absent = voter([&](const NodeId& node) { return !present(node); });
        const auto newcomer = spare();
        if (to_part && newcomer && now.voters.size() <= most)
            return with(without(now, *to_part), *newcomer);
        if (to_part && now.voters.size() > 1) return without(now, *to_part);
        if (absent && newcomer) return with(without(now, *absent), *newcomer);
        if (newcomer && now.voters.size() < least) return with(now, *newcomer);
        if (!absent && now.voters.size() > most)
            return without(now, *voter([](const NodeId&) { return true; }));
        if (newcomer) return spread(*newcomer);
        return std::nullopt;
    }
};

// --- partitions

std::size_t held_count(const PoolState& state, const NodeId& node) {
    return static_cast<std::size_t>(
        std::count_if(state.partitions.begin(), state.partitions.end(),
                      [&](const auto& one) { return !one.solo && one.holds(node); }));
}

// How many partitions a node holds; of these, the open ones of an owner, and those that a whole set
// holds.
struct Held {
    std::size_t all = 0;
    std::size_t of_owner = 0;
    std::size_t of_set = 0;
};

// In the order of the members, by one walk through the partitions: a large pool chooses hundreds of
// holders in one change. The set's owner is its first node.
std::vector<Held> count_held(const PoolState& state, const std::vector<NodeId>& set) {
    std::vector<Held> counts(state.members.size());
    for (const auto& partition : state.partitions) {
        if (partition.solo) continue;
        const bool of_owner =
            partition.phase == PartitionPhase::open && partition.owner == set.front();
        const bool of_set =
            of_owner && std::all_of(set.begin(), set.end(),
                                    [&](const NodeId& node) { return partition.holds(node); });
        for (const NodeId& node : partition.in_sync) {
            const auto* member = state.member(node);
            if (member == nullptr) continue;
            auto& held = counts[static_cast<std::size_t>(member - state.members.data())];
            held.all += 1;
            held.of_owner += of_owner ? 1 : 0;
            held.of_set += of_set ? 1 : 0;
        }
    }
    return counts;
}

// One after another: out of the zones of those before, then together with them least often, then
// with the owner, then anywhere.
std::vector<NodeId> choose_holders(const PoolState& state,
                                   const std::vector<NodeId>& away,
                                   const NodeId& owner,
                                   std::size_t wanted) {
    std::vector<NodeId> set{owner};
    while (set.size() < wanted) {
        const auto counts = count_held(state, set);
        using Rank = std::array<std::size_t, 4>;
        std::optional<std::pair<Rank, NodeId>> best;
        for (std::size_t at = 0; at < counts.size(); ++at) {
            const auto& member = state.members[at];
            const auto& node = member.id;
            if (!takes_part(member) || is_in(set, node) || is_in(away, node)) continue;
            const auto& held = counts[at];
            const std::pair<Rank, NodeId> candidate{
                {zone_mates(state, set, node), held.of_set, held.of_owner, held.all}, node};
            if (!best || candidate < *best) best = candidate;
        }
        if (!best) break;
        set.push_back(best->second);
    }
    return set;
}

class Tending {
public:
    Tending(const PoolState& state, const std::vector<NodeId>& away)
        : state_(state), away_(away), holders_wanted_(copies_wanted(state)) {}

    std::vector<Change> run() {
        const auto members = state_.members;
        for (const auto& member : members) {
            if (takes_part(member)) open_for(member.id);
            if (member.live) close_for(member);
        }
        return std::move(changes_);
    }

private:
    bool is_open_of(const PartitionState& partition, const NodeId& owner) const {
        return partition.owner == owner && partition.phase == PartitionPhase::open;
    }
    bool is_full(const PartitionState& partition) const {
        return partition.in_sync.size() >= holders_wanted_;
    }
    struct Share {
        std::size_t open = 0;
        std::size_t full = 0;
        bool solo = false;
    };
    Share share_of(const NodeId& owner) const {
        Share share;
        for (const auto& partition : state_.partitions) {
            if (!is_open_of(partition, owner)) continue;
            share.solo = share.solo || partition.solo;
            if (partition.solo) continue;
            share.open += 1;
            if (is_full(partition)) share.full += 1;
        }
        return share;
    }
    void open_for(const NodeId& owner) {
        auto share = share_of(owner);
        while (share.open < open_partitions || share.full == 0) {
            auto set = choose_holders(state_, away_, owner, holders_wanted_);
            const bool full = set.size() >= holders_wanted_;
            if (!full && share.open >= open_partitions) break;
            make({std::move(set)});
            share.open += 1;
            if (full) share.full += 1;
        }
        if (!share.solo) make({{owner}, true});
    }
    // All of a draining node, and what an owner has beyond its share: the short ones first.
    void close_for(const Member& owner) {
        if (!takes_part(owner)) return close_some(owner.id, SIZE_MAX, true, true);
        const auto share = share_of(owner.id);
        if (share.open <= open_partitions) return;
        const auto surplus = share.open - open_partitions;
        const auto of_short = std::min(surplus, share.open - share.full);
        close_some(owner.id, of_short, true, false);
        close_some(owner.id, surplus - of_short, false, false);
    }
    void close_some(const NodeId& owner, std::size_t count, bool short_ones, bool all) {
        for (const auto& partition : std::vector<PartitionState>(state_.partitions)) {
            if (count == 0) return;
            if (!is_open_of(partition, owner)) continue;
            if (!all && (partition.solo || is_full(partition) == short_ones)) continue;
            make(ClosePartition{partition.id});
            count -= 1;
        }
    }
    void make(OpenPartition open) { make(Change{std::move(open)}); }
    void make(Change change) {
        auto next = changed(state_, change);
        if (!next) return;
        state_ = *std::move(next);
        changes_.push_back(std::move(change));
    }

    PoolState state_;
    const std::vector<NodeId>& away_;
    const std::size_t holders_wanted_;
    std::vector<Change> changes_;
};

}  // namespace

std::size_t voters_wanted(std::size_t live_nodes) {
    if (live_nodes >= 7) return 5;
    return std::min<std::size_t>(live_nodes, 3);
}

std::optional<Configuration> next_voters(const Configuration& now,
                                         const PoolState& state,
                                         const std::vector<NodeId>& away) {
    const Electorate electorate{now, state, away};
    auto next = electorate.next();
    return next && electorate.can_decide(*next) ? next : std::nullopt;
}

Configuration first_voters(const PoolState& state) {
    Configuration voters;
    const auto first = std::find_if(state.members.begin(), state.members.end(), takes_part);
    if (first == state.members.end()) return voters;
    voters.voters.push_back(first->id);
    while (auto next = next_voters(voters, state, {})) voters = *std::move(next);
    return voters;
}

std::vector<Change> tend(const PoolState& state, const std::vector<NodeId>& away) {
    return Tending(state, away).run();
}

std::size_t copies_wanted(const PoolState& state) {
    const auto nodes = static_cast<std::size_t>(
        std::count_if(state.members.begin(), state.members.end(), takes_part));
    return std::min<std::size_t>(state.settings.copies, nodes);
}

std::size_t staying_holders(const PoolState& state, const PartitionState& partition) {
    return static_cast<std::size_t>(std::count_if(
        state.members.begin(), state.members.end(),
        [&](const Member& member) { return takes_part(member) && partition.holds(member.id); }));
}

std::optional<NodeId> next_holder(const PoolState& state,
                                  const PartitionState& partition,
                                  const std::function<bool(NodeId)>& reached) {
    using Rank = std::pair<std::size_t, std::size_t>;
    std::optional<std::pair<Rank, NodeId>> best;
    for (const auto& member : state.members) {
        const auto& node = member.id;
        if (!takes_part(member) || partition.holds(node) || !reached(node)) continue;
        const std::pair<Rank, NodeId> candidate{
            {zone_mates(state, partition.in_sync, node), held_count(state, node)}, node};
        if (!best || candidate < *best) best = candidate;
    }
    if (!best) return std::nullopt;
    return best->second;
}

bool is_short(const PoolState& state, const PartitionState& partition) {
    return staying_holders(state, partition) < copies_wanted(state);
}

std::optional<NodeId> next_owner(const PoolState& state,
                                 const PartitionState& partition,
                                 const std::function<bool(NodeId)>& reached) {
    std::optional<std::pair<std::ptrdiff_t, NodeId>> best;
    for (const NodeId& node : partition.in_sync) {
        const auto* member = state.member(node);
        if (member == nullptr || !takes_part(*member) || !reached(node)) continue;
        const auto owned = std::count_if(state.partitions.begin(), state.partitions.end(),
                                         [&](const auto& one) { return one.owner == node; });
        if (!best || std::pair{owned, node} < *best) best = {owned, node};
    }
    if (!best) return std::nullopt;
    return best->second;
}

std::size_t short_partitions(const PoolState& state) {
    const auto wanted = copies_wanted(state);
    return static_cast<std::size_t>(std::count_if(
        state.partitions.begin(), state.partitions.end(), [&](const PartitionState& partition) {
            const bool alone = partition.solo && partition.phase == PartitionPhase::open;
            return !alone && partition.owner && staying_holders(state, partition) < wanted;
        }));
}

}  // namespace posthorse::replication
