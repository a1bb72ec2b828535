// The sending half of peer_network.h: a channel for each address, a call for each message.
//
// Place     Under PeerNetwork.
// Contract  A channel is made for the first message to an address and used again; its connection is
//           dropped after five idle minutes, the channel when others need its place. A dead peer is
//           noticed within ten seconds though nothing is sent. A message is not tried again.
// Owner     PeerNetwork; all calls on home. gRPC's threads post to home and touch nothing else.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proto/types/executor.h"
#include "replication/core/control_message.h"
#include "replication/edge/peer_limits.h"
#include "replication/edge/peer_network.h"

namespace grpc {
class Channel;
class ChannelCredentials;
class Status;
}  // namespace grpc

namespace posthorse::replication {

class PeerClient {
public:
    PeerClient(std::shared_ptr<grpc::ChannelCredentials> credentials,
               Executor& home,
               Duration deadline,
               PeerCounters& counters);
    // Requires that stop() has completed, or that nothing was sent.
    ~PeerClient();
    PeerClient(const PeerClient&) = delete;
    PeerClient& operator=(const PeerClient&) = delete;

    void send(const Outgoing& outgoing);
    std::shared_ptr<grpc::Channel> channel(const std::string& address);
    std::vector<PeerProblem> problems() const;
    // Cancels what is on the way; sends nothing any more.
    void stop(UniqueFunction<void()> done);

private:
    struct Peer;
    struct Call;

    Peer* peer(const std::string& address);
    bool make_room();
    void ended(std::uint64_t number, const grpc::Status& status);

    const std::shared_ptr<grpc::ChannelCredentials> credentials_;
    Executor& home_;
    const Duration deadline_;
    PeerCounters& counters_;
    std::map<std::string, std::unique_ptr<Peer>> peers_;  // by address
    std::map<std::uint64_t, std::unique_ptr<Call>> calls_;
    std::uint64_t last_call_ = 0;
    bool stopping_ = false;
    UniqueFunction<void()> stopped_;
};

}  // namespace posthorse::replication
