// Frames between this node and its peers over gRPC: one bidirectional stream a pair.
//
// Place     Under PeerNetwork, whose port, certificates and checks it shares. Built of
//           exchange_client.h (the streams that this node keeps) and exchange_server.h (those that
//           peers keep to it).
// Contract  replication/peer_streams.h. A header that is not good ends its stream before a frame of
//           it is looked at; so does a frame that is not well formed, and the pool's learning that
//           a later incarnation of the peer lives, or that it is no member any more.
//           A frame larger than a message may be ends its stream: nothing is ever left out.
// Owner     PeerNetwork; all calls on home.
// Errors    The last reason why a stream is not up is kept for people, by address.
// Bounds    peer_limits.h. Home has at most exchange_unread_bytes of a stream that came, and one
//           message of it besides; of a stream that is kept, one message. The transport has about
//           exchange_window_bytes of each. What this node sends is bounded by who sends.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "replication/edge/exchange_client.h"
#include "replication/edge/exchange_ports.h"
#include "replication/edge/exchange_server.h"
#include "replication/peer_streams.h"

namespace posthorse::replication {

class PeerExchange final : public PeerStreams {
public:
    PeerExchange(Executor& home,
                 PeerCertificates certificates,
                 std::function<Refusal(const Header&)> judge,
                 std::function<Header(NodeId)> header,
                 std::shared_ptr<grpc::ChannelCredentials> credentials);

    // For the port that serves it.
    grpc::Service& service() { return server_; }

    void receive(Receiver& receiver) override { ports_.receiver = &receiver; }
    void keep(NodeId node, const std::string& address) override { client_.keep(node, address); }
    void leave(NodeId node) override { client_.leave(node); }
    void send(NodeId node, Frame frame) override { client_.send(node, std::move(frame)); }
    void answer(LinkId link, Frame frame) override { server_.answer(link, std::move(frame)); }
    std::size_t backlog(NodeId node) const override { return client_.backlog(node); }
    std::size_t backlog(LinkId link) const override { return server_.backlog(link); }
    void read_on(LinkId link, std::size_t bytes) override { server_.read_on(link, bytes); }

    std::size_t up() const { return client_.up(); }
    std::size_t in() const { return server_.accepted(); }
    const ExchangeCounters& counters() const { return ports_.counters; }
    std::vector<PeerProblem> problems() const { return client_.problems(); }

    // Ends every stream, and those that come later at once; the receiver is not called any more.
    void end();
    // After end(), and when the port is down. `done` runs on home when nothing is left.
    void join(UniqueFunction<void()> done);

private:
    void consider_joined();

    ExchangePorts ports_;
    ExchangeClient client_;
    ExchangeServer server_;
    UniqueFunction<void()> joined_;
};

}  // namespace posthorse::replication
