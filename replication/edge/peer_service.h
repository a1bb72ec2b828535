// The receiving half of peer_network.h: what a message passes before home sees it.
//
// Place     Under peer_server.h.
// Contract  See peer_network.h. A message that the receiver does not answer, because it goes away,
//           is refused as UNAVAILABLE.
// Owner     PeerServer. gRPC's threads call Deliver(); the rest is on home.
#pragma once

#include <atomic>

#include "posthorse/v1/pool.grpc.pb.h"
#include "proto/types/executor.h"
#include "replication/edge/peer_limits.h"
#include "replication/edge/peer_network.h"

namespace posthorse::replication {

class PeerService final : public v1::Pool::CallbackService {
public:
    PeerService(PeerCertificates certificates,
                Executor& home,
                PeerNetwork::Receive receive,
                PeerCounters& counters);

    grpc::ServerUnaryReactor* Deliver(grpc::CallbackServerContext* context,
                                      const v1::DeliverRequest* request,
                                      v1::DeliverResponse* response) override;
    // On home: from now on nothing is received.
    void stop() { stopped_ = true; }

private:
    grpc::Status refuse(std::size_t reason, grpc::StatusCode code, const std::string& what);
    bool has_place();
    // On home.
    void arrived(grpc::ServerUnaryReactor* reactor, Header header, Message message);
    grpc::Status judged(Refusal refusal);

    const PeerCertificates certificates_;
    Executor& home_;
    PeerNetwork::Receive receive_;
    PeerCounters& counters_;
    std::atomic<std::size_t> waiting_ = 0;  // for home
    bool stopped_ = false;
};

}  // namespace posthorse::replication
