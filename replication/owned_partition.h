// One partition that this node owns: stamps operations, sends them to the store and the holders,
// and says when each is done.
//
// Place     Under replicated_queue.h; drives core/owner_fsm.h (what is done), core/peer_progress.h
//           (where each holder is) and listing_source.h (bringing one up).
// Contract  submit() completes as core/owner_fsm.h says. After a local failure of something that
//           holders may have, the answer is `unknown`. An Append completes late when holders lag:
//           that is the back-pressure to whoever sends the body.
//           invite() brings up a node that is no holder yet; once it has everything, operations
//           wait for it too, and `propose_holder` in tick()'s answer asks for the pool's consent.
//           It is let go only by a committed value that leaves it out. Before the pool was asked, a
//           newcomer that cannot be spoken to, or listed to, is called off.
// Owner     ReplicatedQueue, on the home executor.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "replication/control_plane.h"
#include "replication/core/owner_fsm.h"
#include "replication/core/peer_progress.h"
#include "replication/listing_source.h"
#include "replication/operation_log.h"
#include "replication/peer_streams.h"

namespace posthorse::replication {

class OwnedPartition : public std::enable_shared_from_this<OwnedPartition> {
public:
    using AnyChange = decltype(storage::Operation::change);

    struct Settings {
        OwnerFsm::Settings times;
        std::size_t retain_bytes_max = 8 * 1024 * 1024;
    };
    struct Due {
        std::vector<NodeId> silent;            // propose to drop these
        std::optional<NodeId> propose_holder;  // it has everything
        std::optional<NodeId> called_off;      // it was invited, and could not be brought up
    };

    // `base`: where the copies stood when it was taken up.
    OwnedPartition(PartitionState state,
                   NodeId self,
                   storage::Position base,
                   Settings settings,
                   storage::QueueStore& store,
                   PeerStreams& streams,
                   Pace& pace);
    ~OwnedPartition();

    // Speaks to the holders whose streams are up, given by `is_up`.
    void begin(const std::function<bool(NodeId)>& is_up);
    void submit(AnyChange change, BootTime now, Completion<> done);
    // Without a place in the order, for this store alone.
    void submit_local(AnyChange change);
    // Mints the next id. Its time never goes back, whatever the wall clock does.
    QueueId mint(WallTime now);

    // --- holders
    void up(NodeId node);
    void down(NodeId node);
    void drained(NodeId node);
    void answered(NodeId node, Frame frame, BootTime now);
    // Messages that this store cannot read, or of which it cannot read the body alone: a holder's
    // copy of them replaces what is here. Nothing happens while there is no holder.
    enum class Lost : std::uint8_t { record, body };
    void fetch(QueueId id, Lost lost);
    std::uint64_t mended() const noexcept { return mended_; }
    void invite(NodeId node, bool is_up);
    std::optional<NodeId> invited() const;

    // A committed state of the same owner: another in-sync set and a greater epoch, or closing.
    void changed(const PartitionState& state);
    // This node does not own it any more: what is under way may have happened.
    void abandon();
    Due tick(BootTime now);
    // Intents that wait for silent holders go on without them, synced here first: for a node that
    // nobody can evict, in a pool that can drop nobody. Returns how many.
    std::size_t waive_intents(BootTime now);

    const PartitionState& state() const noexcept { return state_; }
    std::size_t under_way() const noexcept { return waiting_.size(); }
    Duration owed(BootTime now) const { return fsm_.owed(now); }
    // Operations that some holder has not acknowledged as synced.
    std::uint64_t lag() const;
    const std::map<NodeId, PeerProgress>& progress() const noexcept { return progress_; }

private:
    struct Newcomer {
        NodeId node;
        Sequence received;  // as it acknowledged
        Sequence durable;
        std::optional<Epoch> proposed;       // the pool was asked about it in this epoch
        BootTime again_at{};                 // when to ask again
        std::optional<BootTime> away_since;  // nothing can be sent to it
        bool cannot_be_listed_to = false;
    };
    struct Waiting {
        Completion<> done;
        bool is_append = false;
    };

    std::vector<NodeId> other_holders() const;
    Slice slice() const { return {state_.id, state_.epoch}; }
    void call_off_invitation(OwnerFsm::Effects& out);
    void tend_newcomer(BootTime now, Due& due);
    bool is_away(BootTime now);
    void forget_holder(NodeId node);
    void mend(Frame frame);
    void open(NodeId node, PeerProgress& progress);
    void stands(NodeId node, PeerProgress& progress, const Standing& standing);
    void acknowledged(NodeId node, PeerProgress& progress, const Ack& ack);
    void list_to(NodeId node);
    void end_source(NodeId node);
    void pump(NodeId node, PeerProgress& progress);
    void trim();
    bool holders_lag() const;
    void give_up_late(BootTime now);
    void stored(Sequence sequence, Result<void> result);
    void finish(Sequence sequence, Result<void> result);
    void carry_out(const OwnerFsm::Effects& effects);
    void release_late();

    PartitionState state_;
    const Epoch first_epoch_;  // of this ownership
    const NodeId self_;
    const storage::Position base_;
    const Settings settings_;
    OwnerFsm fsm_;
    OperationLog log_;
    storage::QueueStore& store_;
    PeerStreams& streams_;
    Pace& pace_;
    std::map<NodeId, PeerProgress> progress_;
    std::map<NodeId, std::shared_ptr<ListingSource>> sources_;
    std::optional<Newcomer> newcomer_;
    std::unordered_map<Sequence, Waiting> waiting_;
    std::deque<Completion<>> late_;  // appends that are done, and told when the holders follow
    std::optional<BootTime> late_since_;
    std::map<QueueId, Lost> fetching_;
    std::uint64_t mended_ = 0;
    std::uint32_t minted_ = 0;
    WallTime last_minted_{};
};

}  // namespace posthorse::replication
