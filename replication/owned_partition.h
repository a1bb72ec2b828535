// One partition that this node owns: stamps operations, sends them to the store and the holders,
// and says when each is done.
//
// Place     Under replicated_queue.h; drives core/owner_fsm.h.
// Contract  submit() completes as core/owner_fsm.h says. After a local failure of something that
//           holders may have, the answer is `unknown`.
// Owner     ReplicatedQueue, on the home executor.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "replication/control_plane.h"
#include "replication/core/owner_fsm.h"
#include "replication/holder_link.h"
#include "storage/queue_store.h"

namespace posthorse::replication {

class OwnedPartition : public std::enable_shared_from_this<OwnedPartition> {
public:
    using AnyChange = decltype(storage::Operation::change);

    OwnedPartition(PartitionState state,
                   NodeId self,
                   Sequence last,
                   OwnerFsm::Settings settings,
                   storage::QueueStore& store,
                   HolderLinks& links);

    void submit(AnyChange change, BootTime now, Completion<> done);
    // Mints the next id. Its time never goes back, whatever the wall clock does.
    QueueId mint(WallTime now);

    void acknowledged(const Ack& ack);
    // A committed state of the same owner: with a narrower in-sync set and a greater epoch, or
    // closing.
    void narrowed(const PartitionState& state);
    // This node does not own it any more: what is under way may have happened.
    void abandon();
    // Returns holders to propose for dropping.
    std::vector<NodeId> tick(BootTime now);

    const PartitionState& state() const noexcept { return state_; }
    std::size_t under_way() const noexcept { return waiting_.size(); }

private:
    void stored(Sequence sequence, Result<void> result);
    void finish(Sequence sequence, Result<void> result);
    void carry_out(const OwnerFsm::Effects& effects);

    PartitionState state_;
    const Epoch first_epoch_;  // of this ownership
    NodeId self_;
    OwnerFsm fsm_;
    storage::QueueStore& store_;
    HolderLinks& links_;
    std::unordered_map<Sequence, Completion<>> waiting_;
    std::uint32_t minted_ = 0;
    WallTime last_minted_{};
};

}  // namespace posthorse::replication
