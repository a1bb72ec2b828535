// The gRPC server on the admin socket: the admin service, health and reflection.
//
// Place     Owned by node.cc, which gives the context.
// Contract  The socket has mode 0600; its directory is made (0750) when it is missing. A socket
//           that a dead process left behind is replaced, one that answers is not.
//           stop() ends every call: those under way end at their next step on home, which must
//           run until stop() has completed. No call outlives it.
// Owner     One thread at a time calls.
// Errors    start(): io names the path and the mend.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include <grpcpp/server.h>

#include "daemon/admin/admin_service.h"

namespace posthorse::admin {

class AdminServer {
public:
    AdminServer(std::string socket_path, AdminContext context);
    // Requires that stop() has completed or start() never succeeded.
    ~AdminServer();
    AdminServer(const AdminServer&) = delete;
    AdminServer& operator=(const AdminServer&) = delete;

    Result<void> start();
    // `done` runs on home. May be called from home itself: it does not block.
    void stop(UniqueFunction<void()> done);

private:
    std::string socket_path_;
    Executor& home_;
    AdminService service_;
    std::unique_ptr<grpc::Server> server_;
    std::thread stopper_;  // waits for the calls to end
};

}  // namespace posthorse::admin
