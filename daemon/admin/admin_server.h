// The gRPC server on the admin socket and the admin port: the admin service, health and reflection.
//
// Place     Owned by node.cc, which gives the context.
// Contract  The socket has mode 0600; its directory is made (0750) when it is missing. A socket
//           that a dead process left behind is replaced, one that answers is not.
//           The port is there when it is asked for: mutual TLS with files of its own, and each call
//           is checked (operator_check.h). What is bad in the files fails start(); reload() then
//           keeps what was good.
//           stop() ends every call: those under way end at their next step on home, which must
//           run until stop() has completed. No call outlives it.
// Owner     One thread at a time calls. start() and reload() read files.
// Errors    start(), reload(): invalid or io names the path or the port, and the mend.
// Bounds    Of a request and of calls on a connection, as below; on the port also of memory, of
//           the time of a handshake, and of what a request may unfold to: it is not compressed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <grpcpp/server.h>

#include "daemon/admin/admin_service.h"
#include "daemon/admin/operators.h"
#include "daemon/runtime/metrics.h"
#include "daemon/runtime/reloadable.h"
#include "proto/types/time.h"
#include "replication/edge/peer_credentials.h"

namespace posthorse::admin {

// Where operators from afar are served.
struct AdminPort {
    std::string address;     // an IP address
    std::uint16_t port = 0;  // 0: any that is free
    replication::PeerFiles files;
    Operators operators;
    runtime::Metrics& metrics;
    // Then a connection ends when its calls have, and its client shows its certificate anew.
    Duration connection_age = std::chrono::minutes{10};
};

class AdminServer {
public:
    AdminServer(std::string socket_path,
                AdminContext context,
                std::optional<AdminPort> port = std::nullopt);
    // Requires that stop() has completed or start() never succeeded.
    ~AdminServer();
    AdminServer(const AdminServer&) = delete;
    AdminServer& operator=(const AdminServer&) = delete;

    Result<void> start();
    // Takes new certificates. Connections that stand keep what they have shown until they end.
    Result<void> reload();
    // Who may do what from afar, from the next call on.
    void set_operators(Operators operators);
    // The TCP port that is served; 0: none.
    std::uint16_t port() const { return bound_; }
    // `done` runs on home. May be called from home itself: it does not block.
    void stop(UniqueFunction<void()> done);

private:
    Result<void> open_credentials();
    std::unique_ptr<grpc::Server> build();
    Error port_failed() const;

    std::string socket_path_;
    std::optional<AdminPort> remote_;
    Executor& home_;
    runtime::Reloadable<const Operators> operators_;
    std::unique_ptr<replication::PeerCredentials> credentials_;  // of the port; from start() on
    bool socket_bound_ = false;
    std::uint16_t bound_ = 0;
    AdminService service_;
    std::unique_ptr<grpc::Server> server_;
    std::thread stopper_;  // waits for the calls to end
};

}  // namespace posthorse::admin
