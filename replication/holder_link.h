// The other holders of a partition, as a port: operations go out, acknowledgements come back.
//
// Place     owned_partition.h sends; edge/ implements it over gRPC once the pool has more than one
//           node. Tests bring a holder that is slow, failing or silent.
// Contract  Operations of one partition reach a holder in order or not at all until a reconnect.
//           Acknowledgements are cumulative and may be lost, repeated or late: only their greatest
//           value counts. A dropped operation is no error here: silence is, and the owner judges
//           it.
// Owner     node.cc. Every call and callback on the home executor.
#pragma once

#include "storage/queue_store.h"

namespace posthorse::replication {

// Everything of (partition, epoch) up to `received` is in the holder's log, up to `durable` synced.
struct Ack {
    NodeId holder;
    PartitionId partition;
    Epoch epoch;
    Sequence received;
    Sequence durable;
};

class HolderLinks {
public:
    virtual ~HolderLinks() = default;
    // False: operations reach no other node, and no message may wait for one.
    virtual bool carries() const { return true; }
    virtual void send(NodeId holder, const storage::Operation& operation) = 0;
    virtual void on_ack(UniqueFunction<void(const Ack&)> acknowledged) = 0;
};

// Nodes do not copy messages to each other yet: there is nobody to send to.
class NoHolders final : public HolderLinks {
public:
    bool carries() const override { return false; }
    void send(NodeId, const storage::Operation&) override {
        PH_ASSERT(!"nothing is accepted into a partition with other holders");
    }
    void on_ack(UniqueFunction<void(const Ack&)>) override {}
};

}  // namespace posthorse::replication
