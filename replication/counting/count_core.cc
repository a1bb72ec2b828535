#include "replication/counting/count_core.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "proto/types/assert.h"
#include "replication/counting/count_home.h"

namespace posthorse::replication {
namespace {

constexpr Duration sweep_every = std::chrono::seconds{10};

}  // namespace

CountCore::CountCore(NodeId self, Settings settings) : self_(self), settings_(settings) {
    use_members({{self, {}}});
}

void CountCore::use_members(const std::vector<CountMember>& members) {
    if (members == members_) return;
    members_ = members;
    ids_.clear();
    for (const auto& member : members_) {
        ids_.push_back(member.id);
        if (member.id == self_) incarnation_ = member.incarnation;
    }
    // What is on the way was told to the members of before: its answer says nothing of these.
    for (auto& [to, link] : links_) {
        if (link.on_the_way) link.on_the_way->clear();
    }
    for (auto& [key, own] : own_) {
        find_homes(key, own);
        pending_.insert(key);
    }
}

void CountCore::find_homes(const CountKey& key, Own& own) {
    own.homes.clear();
    for (const auto& home : homes_of(key.name, ids_)) own.homes.emplace(home, Home{});
}

CountCore::Own* CountCore::own(const CountKey& key) {
    if (const auto found = own_.find(key); found != own_.end()) return &found->second;
    if (own_.size() >= settings_.own_max) {
        ++dropped_;
        return nullptr;
    }
    auto& made = own_.emplace(key, Own(key.window)).first->second;
    find_homes(key, made);
    return &made;
}

// ------------------------------------------------------------------ counting

void CountCore::add(const CountKey& key, std::uint64_t amount, Now now) {
    auto* counted = own(key);
    if (counted == nullptr) return;
    counted->mine.add(now.wall, amount);
    ++counted->revision;
    pending_.insert(key);
}

CountLevel CountCore::look(const CountKey& key, Now now) {
    CountLevel level{
        .members = std::max<std::size_t>(1, ids_.size()), .degraded = true, .current = false};
    auto* counted = own(key);
    if (counted == nullptr) return level;
    counted->looked_at = now.boot;
    pending_.insert(key);
    level.count = counted->mine.total(now.wall);
    std::uint64_t others = 0;
    for (auto& [node, home] : counted->homes) {
        if (node == self_) keep_own(key, *counted, home, now);
        if (!said_within(settings_.stale_after, home, now)) continue;
        level.degraded = false;
        level.current |= said_within(settings_.current_for, home, now);
        others = std::max(others, home.others);
    }
    level.count += others;
    return level;
}

bool CountCore::said_within(Duration time, const Home& home, Now now) const {
    return home.said_at && now.boot - *home.said_at < time;
}

// ------------------------------------------------------------------ telling the homes

std::vector<CountOutgoing> CountCore::tick(Now now) {
    if (now.boot >= next_sweep_) sweep(now);
    std::map<NodeId, CountBatch> batches;
    std::erase_if(pending_, [&](const CountKey& key) {
        const auto found = own_.find(key);
        return found == own_.end() || hand_over(key, found->second, now, batches);
    });
    std::vector<CountOutgoing> out;
    for (auto& [to, batch] : batches) {
        batch.incarnation = incarnation_;
        out.push_back({to, std::move(batch)});
    }
    return out;
}

bool CountCore::is_due(const Own& own, const Home& home, Now now) const {
    if (home.has != own.revision) return true;
    if (!own.looked_at || said_within(settings_.current_for, home, now)) return false;
    return !home.said_at || *own.looked_at > *home.said_at;
}

bool CountCore::hand_over(const CountKey& key,
                          Own& own,
                          Now now,
                          std::map<NodeId, CountBatch>& batches) {
    bool done = true;
    for (auto& [node, home] : own.homes) {
        if (!is_due(own, home, now)) continue;
        if (node == self_) {
            keep_own(key, own, home, now);
            continue;
        }
        auto& link = links_[node];
        auto& batch = batches[node];
        const bool begun = link.on_the_way && !batch.entries.empty();
        const bool free = (begun || !link.on_the_way) && now.boot >= link.not_before;
        if (!free || batch.entries.size() >= settings_.batch_max) {
            done = false;
            if (batch.entries.empty()) batches.erase(node);
            continue;
        }
        if (!link.on_the_way) link.on_the_way.emplace();
        link.on_the_way->push_back({key, own.revision});
        batch.entries.push_back({key, own.mine.slots()});
    }
    return done;
}

void CountCore::keep_own(const CountKey& key, Own& own, Home& home, Now now) {
    const auto all = keep({self_, incarnation_}, key, own.mine.slots(), now);
    const auto mine = own.mine.total(now.wall);
    home = {own.revision, all - std::min(all, mine), now.boot};
}

void CountCore::answered(const NodeId& by, const std::vector<std::uint64_t>& others, Now now) {
    const auto link = links_.find(by);
    if (link == links_.end() || !link->second.on_the_way) return;
    const auto sent = *std::exchange(link->second.on_the_way, std::nullopt);
    if (sent.size() != others.size()) return failed(by, now);
    for (std::size_t i = 0; i < sent.size(); ++i) {
        const auto own = own_.find(sent[i].key);
        if (own == own_.end()) continue;
        const auto home = own->second.homes.find(by);
        if (home != own->second.homes.end()) home->second = {sent[i].revision, others[i], now.boot};
    }
}

void CountCore::failed(const NodeId& by, Now now) {
    const auto link = links_.find(by);
    if (link == links_.end()) return;
    link->second.not_before = now.boot + settings_.retry_after;
    const auto sent = std::exchange(link->second.on_the_way, std::nullopt);
    if (!sent) return;
    for (const auto& one : *sent) {
        if (own_.contains(one.key)) pending_.insert(one.key);
    }
}

// ------------------------------------------------------------------ being a home

std::vector<std::uint64_t> CountCore::receive(const NodeId& from,
                                              const CountBatch& batch,
                                              Now now) {
    std::vector<std::uint64_t> others;
    for (const auto& entry : batch.entries) {
        const auto all = keep({from, batch.incarnation}, entry.key, entry.slots, now);
        SlidingCount theirs(entry.key.window);
        theirs.merge(entry.slots, now.wall);
        const auto sent = theirs.total(now.wall);
        others.push_back(all - std::min(all, sent));
    }
    return others;
}

// Answers what all have counted.
std::uint64_t CountCore::keep(const Counter& from,
                              const CountKey& key,
                              const std::vector<CountSlot>& slots,
                              Now now) {
    auto found = kept_.find(key);
    if (found == kept_.end() && !slots.empty()) {
        if (kept_.size() >= settings_.kept_max) {
            ++dropped_;
            return 0;
        }
        found = kept_.emplace(key, Kept{}).first;
    }
    if (found == kept_.end()) return 0;
    if (!slots.empty())
        found->second.try_emplace(from, key.window).first->second.merge(slots, now.wall);
    std::uint64_t all = 0;
    for (const auto& count : std::views::values(found->second)) all += count.total(now.wall);
    return all;
}

void CountCore::sweep(Now now) {
    next_sweep_ = now.boot + sweep_every;
    std::erase_if(own_, [&](const auto& one) {
        const auto& own = one.second;
        const bool watched = own.looked_at && now.boot - *own.looked_at < settings_.stale_after;
        return !watched && own.mine.over(now.wall);
    });
    for (auto& [key, kept] : kept_) {
        std::erase_if(kept, [&](const auto& one) { return one.second.over(now.wall); });
    }
    std::erase_if(kept_, [](const auto& one) { return one.second.empty(); });
}

}  // namespace posthorse::replication
