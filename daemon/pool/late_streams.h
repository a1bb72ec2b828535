// Streams to peers that lead nowhere until there is a network.
//
// Place     PoolMembership gives them to the queue, which is made before the peer port listens.
// Contract  As replication/peer_streams.h; before lead_to() as those of a pool of one.
// Owner     PoolMembership, on home.
#pragma once

#include "replication/peer_streams.h"

namespace posthorse {

class LateStreams final : public replication::PeerStreams {
public:
    using Frame = replication::Frame;
    using LinkId = replication::LinkId;

    void lead_to(replication::PeerStreams& streams) {
        to_ = &streams;
        if (receiver_ != nullptr) to_->receive(*receiver_);
    }

    void receive(Receiver& receiver) override {
        receiver_ = &receiver;
        to_->receive(receiver);
    }
    void keep(NodeId node, const std::string& address) override { to_->keep(node, address); }
    void leave(NodeId node) override { to_->leave(node); }
    void send(NodeId node, Frame frame) override { to_->send(node, std::move(frame)); }
    void answer(LinkId link, Frame frame) override { to_->answer(link, std::move(frame)); }
    std::size_t backlog(NodeId node) const override { return to_->backlog(node); }
    std::size_t backlog(LinkId link) const override { return to_->backlog(link); }
    void read_on(LinkId link, std::size_t bytes) override { to_->read_on(link, bytes); }

private:
    replication::NoPeers nobody_;
    replication::PeerStreams* to_ = &nobody_;
    Receiver* receiver_ = nullptr;
};

}  // namespace posthorse
