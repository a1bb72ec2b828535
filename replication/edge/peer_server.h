// The peer port: where messages of other nodes come in.
//
// Place     Under PeerNetwork; serves peer_service.h and what the node adds, and nothing else.
// Contract  Peers that do not answer a ping for some seconds are disconnected, handshakes that take
//           longer too. Whole memory of the port's connections is bounded.
//           stop() ends every call: those on home end at their next step there, so home must run
//           until it has completed.
// Owner     PeerNetwork; all calls on home.
// Errors    open(): io names the address and the mend.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <grpcpp/server.h>

#include "replication/edge/peer_service.h"

namespace posthorse::replication {

class PeerServer {
public:
    PeerServer(Executor& home, std::unique_ptr<PeerService> service);
    // Requires that stop() has completed or open() never succeeded.
    ~PeerServer();
    PeerServer(const PeerServer&) = delete;
    PeerServer& operator=(const PeerServer&) = delete;

    Result<void> open(const std::string& address,
                      std::uint16_t port,
                      std::shared_ptr<grpc::ServerCredentials> credentials,
                      const std::vector<grpc::Service*>& others);
    std::uint16_t port() const noexcept { return port_; }
    // `done` runs on home.
    void stop(UniqueFunction<void()> done);

private:
    Executor& home_;
    std::unique_ptr<PeerService> service_;
    std::unique_ptr<grpc::Server> server_;
    std::uint16_t port_ = 0;
    std::thread stopper_;  // waits for the calls to end
};

}  // namespace posthorse::replication
