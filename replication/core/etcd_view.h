// What etcd holds, as one node has heard it, and since when it is so on this node's clock.
//
// Place     Pure, under etcd_core.h; etcd_duties.h judges by it who lives.
// Contract  A mirror: a snapshot, then the changes of every revision after it. The age of a lease
//           is how long this node saw its item unchanged, connected all the while: whoever heard
//           nothing at all for gap() counts every age from when it hears again, so that all who
//           were cut off like this node get a full TTL. The age belongs to the incarnation that
//           lives: another one's begins anew.
//           settled(): etcd was not put back to an old state within the last TTL, so that all that
//           a lost history granted has ended. A restore breaks every watch. So it is known after a
//           TTL of one watch, or when during it a renewal comes of a node that knows
//           (EtcdLease::beat), or when there was no pool yet when it began. Never while nothing
//           is heard.
// Owner     EtcdCore.
// Bounds    An item or two a member.
#pragma once

#include <map>
#include <optional>

#include "proto/types/time.h"
#include "replication/core/etcd_port.h"

namespace posthorse::replication {

// How often a node renews its lease.
Duration renewal_interval(Duration ttl);
// Whoever was not seen to renew for this long may be dead before its lease says so.
Duration away_after(Duration ttl);

constexpr EtcdKey pool_key() {
    return {EtcdKey::Kind::pool, {}};
}
constexpr EtcdKey lease_key(const NodeId& node) {
    return {EtcdKey::Kind::lease, node};
}
constexpr EtcdKey waiting_key(const NodeId& node) {
    return {EtcdKey::Kind::waiting, node};
}

class EtcdView {
public:
    struct Seen {
        Revision changed;  // 0: a lease that should be there and is not
        EtcdItem item;
        BootTime since;       // unchanged, as far as this node can tell
        bool moved = false;   // it changed before this node's eyes
        Incarnation counted;  // of a lease: whose age it is
    };

    // --- what comes
    // `asked_at`: the revision that was heard when it was asked for. False: etcd went back to an
    // old state: it is taken, and no watch goes on.
    bool take(EtcdSnapshot snapshot, Revision asked_at, BootTime now);
    void take(EtcdChanges changes, BootTime now);
    void watching(BootTime now);  // of all that comes after what was taken
    void lost();                  // the watch has ended
    void heard(BootTime now);     // an answer of any sort
    // Every age counts from now.
    void restart(BootTime now);
    // Whose leases there should be, and how long they last.
    void expect(const PoolState& state, BootTime now);

    // --- as it is
    bool watched() const noexcept { return watched_.has_value(); }
    Revision revision() const noexcept { return revision_; }
    const std::map<EtcdKey, Seen>& items() const noexcept { return items_; }
    const Seen* find(const EtcdKey& key) const;  // null: it is not there
    Revision changed(const EtcdKey& key) const;  // 0: it is not there
    const EtcdLease* lease(const NodeId& node) const;
    // The start of `node` that waits now: it was written within the last seconds, before this
    // node's eyes. Null: none.
    const EtcdWaiting* waiting(const NodeId& node, BootTime now) const;
    // Of a live member.
    std::optional<Duration> lease_age(const NodeId& node, BootTime now) const;
    bool settled(BootTime now) const;
    // Nothing was heard for so long that something should be asked.
    bool silent(BootTime now) const { return now - heard_ > renewal_interval(ttl_); }
    Duration gap() const { return renewal_interval(ttl_) + std::chrono::seconds{1}; }

private:
    void put(EtcdEntry entry, BootTime now);

    Duration ttl_ = std::chrono::seconds{10};
    Revision revision_;
    std::map<EtcdKey, Seen> items_;
    BootTime heard_{};
    std::optional<BootTime> watched_;  // since
    bool vouched_ = false;             // on this watch
};

}  // namespace posthorse::replication
