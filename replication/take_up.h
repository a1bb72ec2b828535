// Taking up a partition: nothing is read from it or written to it before this is through.
//
// Place     Under replicated_queue.h, for each partition that the pool gives this node.
// Contract  Fences the store; asks every other holder, under the new epoch, how far its copy is:
//           from then on they refuse the old one. Waits for each until it answers; one that is
//           silent for long is named by tick(), to be dropped by agreement, and the narrower set
//           takes the partition up anew; but of an unvouched partition nobody is. When a holder is
//           further than this store, its copy is listed here first: final outcomes are never
//           undone. A copy that was being made whole when its owner ended, and than which nobody
//           has a better one, is whole as it is. Then `done`, with where the copies stand: the base
//           of this ownership.
// Owner     ReplicatedQueue, on home.
// Errors    Of the store: to `done`.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "replication/control_plane.h"
#include "replication/listing_target.h"
#include "replication/peer_streams.h"

namespace posthorse::replication {

class TakeUp : public std::enable_shared_from_this<TakeUp> {
public:
    TakeUp(PartitionState state,
           NodeId self,
           storage::QueueStore& store,
           PeerStreams& streams,
           Completion<storage::Position> done);

    void begin(BootTime now);
    void up(NodeId node);
    void answered(NodeId node, Frame frame, BootTime now);
    // Returns holders to propose for dropping.
    std::vector<NodeId> tick(BootTime now, Duration silence);
    void end();

    const PartitionState& state() const noexcept { return state_; }

private:
    struct Asked {
        std::optional<storage::Position> at;
        BootTime heard;  // or asked first, or reported last
        BootTime again_at;
        bool again = false;
    };

    void fenced(Result<storage::CopyState> copy);
    void ask(NodeId node);
    void consider();
    void declare_whole();
    void finish(Result<storage::Position> at);

    const PartitionState state_;
    const Slice slice_;
    const NodeId self_;
    storage::QueueStore& store_;
    PeerStreams& streams_;
    Completion<storage::Position> done_;
    bool ended_ = false;
    std::optional<storage::CopyState> own_;
    std::map<NodeId, Asked> others_;
    std::optional<NodeId> source_;  // whose copy comes
    std::shared_ptr<ListingTarget> target_;
};

}  // namespace posthorse::replication
