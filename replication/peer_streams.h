// Ordered frames between this node and its peers, as a port.
//
// Place     Under replicated_queue.h, which owns partitions over it and holds copies of others'.
//           edge/peer_exchange.h implements it over gRPC; the simulator has its own.
// Contract  A node keeps at most one stream to another: as an owner, to send to the holders of its
//           partitions. What the holder answers comes back on the same stream. Frames of a stream
//           arrive in order and once; when it ends, what was on the way is lost, and a new one is
//           begun by itself after a moment.
//           A stream that comes in has passed the same checks as every message of the pool: it is
//           of this pool, its node a member, its incarnation not stale.
//           Frames are taken without a bound: whoever sends looks at backlog() first, and goes on
//           when drained() says so. A receiver that is slow makes backlog grow at the sender, not
//           memory at the receiver: read_on() says that a frame has been worked off.
// Owner     node.cc. Every call and callback on home; no callback runs inside a call.
#pragma once

#include <string>

#include "replication/core/data_message.h"

namespace posthorse::replication {

// A stream that came in; never used again in this process.
using LinkId = StrongId<struct LinkTag, std::uint64_t>;

class PeerStreams {
public:
    struct Peer {
        NodeId node;
        Incarnation incarnation;
    };
    class Receiver {
    public:
        virtual ~Receiver() = default;
        // --- of the stream that this node keeps to `node`
        virtual void up(NodeId node) = 0;
        virtual void down(NodeId node) = 0;
        virtual void answered(NodeId node, Frame frame) = 0;
        virtual void drained(NodeId node) = 0;  // backlog() fell below the low-water mark
        // --- of a stream that a peer keeps to this node
        virtual void came(LinkId link, const Peer& from, Frame frame) = 0;
        virtual void ended(LinkId link) = 0;
        virtual void drained(LinkId link) = 0;
    };

    virtual ~PeerStreams() = default;
    // Before any other call.
    virtual void receive(Receiver& receiver) = 0;

    // Keeps a stream to `node` from now on; another address replaces the stream.
    virtual void keep(NodeId node, const std::string& address) = 0;
    virtual void leave(NodeId node) = 0;
    // Dropped when the stream is not up.
    virtual void send(NodeId node, Frame frame) = 0;
    virtual void answer(LinkId link, Frame frame) = 0;
    // Octets that the transport has not taken yet; 0 when there is no such stream.
    virtual std::size_t backlog(NodeId node) const = 0;
    virtual std::size_t backlog(LinkId link) const = 0;
    // A frame that came on `link`, of size_of() `bytes`, has been worked off.
    virtual void read_on(LinkId link, std::size_t bytes) = 0;
};

// Of a pool of one, which speaks to nobody.
class NoPeers final : public PeerStreams {
public:
    void receive(Receiver&) override {}
    void keep(NodeId, const std::string&) override {}
    void leave(NodeId) override {}
    void send(NodeId, Frame) override {}
    void answer(LinkId, Frame) override {}
    std::size_t backlog(NodeId) const override { return 0; }
    std::size_t backlog(LinkId) const override { return 0; }
    void read_on(LinkId, std::size_t) override {}
};

// Whoever sends pauses above the first, and goes on below the second.
inline constexpr std::size_t backlog_high_bytes = 4 * 1024 * 1024;
inline constexpr std::size_t backlog_low_bytes = 1024 * 1024;

}  // namespace posthorse::replication
