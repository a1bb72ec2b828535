// This node as a holder: the copies that it keeps of other nodes' partitions.
//
// Place     Under replicated_queue.h, beside the partitions that it owns. Frames that come on
//           streams of peers arrive here; answers go back on the same stream.
// Contract  An owner is believed when this node's newest committed value says that it owns the
//           partition in that epoch, by the incarnation that speaks: earlier epochs are refused,
//           later ones are asked to wait. What was believed is fenced in the store first: from
//           then on the store refuses every lower epoch, for ever.
//           Operations are applied in the order of the stream without a gap, and acknowledged when
//           the store has them: cumulatively, many at once. While a listing makes the copy whole
//           nothing is acknowledged.
//           Frames are taken off the stream as fast as the store takes what is in them.
// Owner     ReplicatedQueue, on home.
// Errors    Refused goes back: HolderRefusal says why.
#pragma once

#include <map>
#include <memory>

#include "proto/types/executor.h"
#include "replication/arriving_bodies.h"
#include "replication/attempt_book.h"
#include "replication/control_plane.h"
#include "replication/listing_source.h"
#include "replication/listing_target.h"
#include "replication/operation_need.h"
#include "replication/peer_streams.h"

namespace posthorse::replication {

class HeldPartitions {
public:
    HeldPartitions(storage::QueueStore& store,
                   ControlPlane& control,
                   PeerStreams& streams,
                   Executor& home,
                   Pace& pace,
                   AttemptBook& attempts);
    ~HeldPartitions();

    void came(LinkId link, const PeerStreams::Peer& from, Frame frame);
    void ended(LinkId link);
    void drained(LinkId link);
    // The pool's value changed: owners of the past are not listened to.
    void pool_changed(const PoolState& state);
    void tick();

    // Copies are being made whole here.
    std::size_t copying() const;

private:
    struct Held {
        LinkId link;
        Slice slice;
        bool opened = false;               // fenced, and told where the copy stands
        bool whole = false;                // what the copy lacks is what its owner did later
        std::optional<Sequence> expected;  // of the next operation; none before Follow
        Sequence received;
        Sequence durable;
        std::uint32_t quietly = 0;  // operations that nobody waits for, since the last Ack
        bool listed = false;        // by the owner: it can be asked for more
        std::shared_ptr<ListingTarget> target;  // while a listing comes
        std::shared_ptr<ListingSource> source;  // while this copy is listed, or parts of it
    };

    template <class Call>
    auto while_alive(Call call);
    // Why `from` is not heard as the owner; nullopt: it is believed.
    std::optional<HolderRefusal> disbelieve(const Slice& slice,
                                            const PeerStreams::Peer& from) const;
    Held* held(LinkId link, const Slice& slice);
    void take(LinkId link, const PeerStreams::Peer& from, Open open);
    void take(LinkId link, Follow follow);
    void take(LinkId link, Operate operate, std::size_t bytes);
    void take(LinkId link, const PeerStreams::Peer& from, const Ask& ask);
    void begin_copy(Held& held, Sequence before);
    void list(Held& to, std::vector<QueueId> ids);
    void opened(LinkId link, Slice slice, Result<storage::CopyState> copy);
    void applied(LinkId link, Slice slice, Sequence sequence, Need need, Result<void> result);
    void whole(LinkId link, Slice slice, Result<void> result);
    void refuse(LinkId link, const Slice& slice, HolderRefusal why);
    void give_up(LinkId link, const Slice& slice, HolderRefusal why);
    void forget_bodies(PartitionId partition, Epoch epoch);
    void forget_taken_up(const PoolState& state);
    static void leave_out(storage::Operation& operation);
    void owe_ack(PartitionId partition);
    void send_acks();

    storage::QueueStore& store_;
    ControlPlane& control_;
    PeerStreams& streams_;
    Executor& home_;
    Pace& pace_;
    AttemptBook& attempts_;
    std::map<PartitionId, Held> held_;
    ArrivingBodies arriving_;
    std::vector<PartitionId> acks_owed_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace posthorse::replication
