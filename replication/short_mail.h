// Which mail has fewer copies than it should: how much, how old, and what would go with this node.
//
// Place     Under replication/ownership.h, for metrics, operators and whoever is about to leave.
// Contract  `owned` are the partitions that this node may use: what has too few holders is told of
//           them. What would go with this node is told of all that it holds, whoever owns it, and
//           as if it were known already that this node leaves.
// Owner     Ownership, on home.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "replication/control_plane.h"
#include "replication/owned_partition.h"

namespace posthorse::replication {

class ShortMail {
public:
    using Owned = std::map<PartitionId, std::shared_ptr<OwnedPartition>>;

    // All of them outlive this.
    ShortMail(const Owned& owned, ControlPlane& control, storage::QueueStore& store)
        : owned_(owned), control_(control), store_(store) {}

    // Messages that have fewer holders than they should.
    std::uint64_t messages() const;
    // When the oldest of these was accepted, as it was when somebody looked; nullopt: there is
    // none.
    std::optional<WallTime> oldest() const;
    void look_for_oldest();

    // Partitions with mail here that nobody else holds who stays.
    std::size_t held_by_nobody_else() const;
    // Every message has as many other holders that stay as it should.
    bool all_copied() const;

private:
    bool is_short(PartitionId id) const;
    PoolState pool_without_self() const;

    const Owned& owned_;
    ControlPlane& control_;
    storage::QueueStore& store_;
    std::map<PartitionId, WallTime> oldest_;  // accepted
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace posthorse::replication
