#include "replication/core/etcd_view.h"

#include <algorithm>

namespace posthorse::replication {
namespace {

// Who waits writes every second.
constexpr Duration waits_still = std::chrono::seconds{3};

bool vouches(const EtcdItem& item) {
    const auto* lease = std::get_if<EtcdLease>(&item);
    return lease != nullptr && lease->beat > 0;
}

}  // namespace

Duration renewal_interval(Duration ttl) {
    return std::clamp<Duration>(ttl / 10, std::chrono::milliseconds{200}, std::chrono::seconds{2});
}

Duration away_after(Duration ttl) {
    return renewal_interval(ttl) * 5 / 2;
}

// ------------------------------------------------------------------ what comes

bool EtcdView::take(EtcdSnapshot snapshot, Revision asked_at, BootTime now) {
    heard(now);
    const bool went_back = snapshot.revision < asked_at;
    // An answer that the watch has overtaken.
    if (!went_back && watched_ && snapshot.revision < revision_) return true;
    if (went_back) {
        lost();
        restart(now);
    }
    auto before = std::exchange(items_, {});
    revision_ = snapshot.revision;
    for (auto& entry : snapshot.entries) {
        const auto known = before.find(entry.key);
        if (known != before.end() && known->second.changed == entry.changed &&
            known->second.item == entry.item) {
            items_.insert(before.extract(known));
            continue;
        }
        const auto counted = known == before.end() ? Incarnation{} : known->second.counted;
        const auto key = entry.key;
        put(std::move(entry), now);
        items_.at(key).counted = counted;
    }
    // What should be there, and still is not, is as old as it was.
    for (auto& [key, seen] : before) {
        if (seen.changed == Revision{}) items_.try_emplace(key, std::move(seen));
    }
    if (watched_ && find(pool_key()) == nullptr) vouched_ = true;
    return !went_back;
}

void EtcdView::take(EtcdChanges changes, BootTime now) {
    heard(now);
    if (!watched_ || changes.revision <= revision_) return;
    revision_ = changes.revision;
    for (const auto& key : changes.deleted) items_.erase(key);
    for (auto& entry : changes.put) put(std::move(entry), now);
}

void EtcdView::put(EtcdEntry entry, BootTime now) {
    vouched_ = vouched_ || (watched_ && vouches(entry.item));
    auto& seen = items_[entry.key];
    seen.changed = entry.changed;
    seen.item = std::move(entry.item);
    seen.since = now;
    seen.moved = watched_.has_value();
}

void EtcdView::watching(BootTime now) {
    watched_ = now;
    vouched_ = find(pool_key()) == nullptr;
}

void EtcdView::lost() {
    watched_.reset();
    vouched_ = false;
}

void EtcdView::heard(BootTime now) {
    if (now - heard_ > gap()) {
        restart(now);
        if (watched_) watched_ = now;  // it may be another one by now
        vouched_ = false;
    }
    heard_ = now;
}

void EtcdView::restart(BootTime now) {
    for (auto& [key, seen] : items_) {
        seen.since = now;
        seen.moved = false;
    }
}

void EtcdView::expect(const PoolState& state, BootTime now) {
    ttl_ = state.settings.lease_ttl;
    for (const auto& member : state.members) {
        if (!member.live) continue;
        auto& seen = items_[lease_key(member.id)];
        if (seen.counted == member.incarnation) continue;
        seen.counted = member.incarnation;
        seen.since = now;
    }
    for (auto item = items_.begin(); item != items_.end();) {
        auto& [key, seen] = *item;
        const bool ended = key.kind == EtcdKey::Kind::lease && !state.is_live(key.node);
        if (ended) seen.counted = {};
        item = ended && seen.changed == Revision{} ? items_.erase(item) : std::next(item);
    }
}

// ------------------------------------------------------------------ as it is

const EtcdView::Seen* EtcdView::find(const EtcdKey& key) const {
    const auto found = items_.find(key);
    return found == items_.end() || found->second.changed == Revision{} ? nullptr : &found->second;
}

Revision EtcdView::changed(const EtcdKey& key) const {
    const auto* seen = find(key);
    return seen == nullptr ? Revision{} : seen->changed;
}

const EtcdLease* EtcdView::lease(const NodeId& node) const {
    const auto* seen = find(lease_key(node));
    return seen == nullptr ? nullptr : std::get_if<EtcdLease>(&seen->item);
}

const EtcdWaiting* EtcdView::waiting(const NodeId& node, BootTime now) const {
    const auto* seen = find(waiting_key(node));
    if (seen == nullptr || !seen->moved || now - seen->since > waits_still) return nullptr;
    return std::get_if<EtcdWaiting>(&seen->item);
}

std::optional<Duration> EtcdView::lease_age(const NodeId& node, BootTime now) const {
    const auto found = items_.find(lease_key(node));
    if (found == items_.end() || found->second.counted == Incarnation{}) return std::nullopt;
    return now - found->second.since;
}

bool EtcdView::settled(BootTime now) const {
    return watched_ && now - heard_ <= gap() && (vouched_ || now - *watched_ >= ttl_);
}

}  // namespace posthorse::replication
