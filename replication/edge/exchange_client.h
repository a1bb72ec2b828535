// The streams that this node keeps to peers.
//
// Place     The sending half of peer_exchange.h.
// Contract  A stream that ended begins anew after 100 ms, then after twice as long, at most a
//           second, until it was up again. It is up when the peer answered with a header that is
//           judged good, of the node that is meant.
//           Each has a connection of its own.
// Owner     PeerExchange; all calls on home. gRPC's threads read what came, and post.
// Bounds    One stream and one connection a node, whatever is kept; peer_streams.h for frames.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "posthorse/v1/exchange.grpc.pb.h"
#include "replication/edge/exchange_ports.h"
#include "replication/edge/frame_reader.h"

namespace grpc {
class ChannelCredentials;
}

namespace posthorse::replication {

class ExchangeClient {
public:
    ExchangeClient(ExchangePorts& ports, std::shared_ptr<grpc::ChannelCredentials> credentials);
    // Requires idle().
    ~ExchangeClient();
    ExchangeClient(const ExchangeClient&) = delete;
    ExchangeClient& operator=(const ExchangeClient&) = delete;

    void keep(NodeId node, const std::string& address);
    void leave(NodeId node);
    void send(NodeId node, Frame frame);
    std::size_t backlog(NodeId node) const;
    std::size_t up() const;
    // Why a stream that is kept is not up.
    std::vector<PeerProblem> problems() const;
    // Ends every stream and begins none. The receiver is not called any more.
    void end();
    bool idle() const { return calls_.empty() && timers_ == 0; }
    void watch_idle(UniqueFunction<void()> changed) { changed_ = std::move(changed); }

private:
    class Call;
    struct Kept;

    void connect(NodeId node, Kept& kept);
    void drop(Kept& kept);
    void read(std::uint64_t number, Result<ExchangeRead> read);
    void take(Call& call, ExchangeRead read);
    void greeted(Call& call, const ExchangeRead& read);
    std::string refused_why(const Call& call, const ExchangeRead& read) const;
    void hand_on(Call& call, std::vector<Frame> frames);
    void written(std::uint64_t number, bool well);
    void write_next(Call& call);
    void end(Call& call, std::string why);
    void done(std::uint64_t number, const grpc::Status& status);
    void begin_anew_later(NodeId node, Kept& kept);
    void timer_rang(NodeId node, std::uint64_t number, bool expired);
    void gone();
    Call* find(std::uint64_t number) const;  // null: it has ended
    Call* up(NodeId node) const;             // null: it is not

    ExchangePorts& ports_;
    const std::shared_ptr<grpc::ChannelCredentials> credentials_;
    std::map<NodeId, std::unique_ptr<Kept>> kept_;
    std::map<std::uint64_t, std::unique_ptr<Call>> calls_;
    std::uint64_t last_number_ = 0;  // of calls and timers
    std::size_t timers_ = 0;         // that have not called yet
    bool ended_ = false;
    UniqueFunction<void()> changed_;  // calls or timers fell
};

}  // namespace posthorse::replication
