// The commands' end of the admin socket: the stub, deadlines, and what a failure means to a shell.
//
// Contract  One object a command; calls block.
// Errors    A failed call becomes a CliFailure: `unreachable` when no node answers on the socket,
//           `usage` when the node finds the request malformed, `incomplete` when it cannot be
//           done now, else `refused`.
#pragma once

#include <memory>
#include <string>

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "posthorse/v1/admin.grpc.pb.h"

namespace posthorse::admin {

// The exit codes of every admin command.
enum class CliExit : int {
    ok = 0,
    refused = 1,      // not found, or the node could not do it
    usage = 2,        // the command line is wrong
    unreachable = 3,  // no node answers
    incomplete = 75,  // a part of the pool did not answer: try again (EX_TEMPFAIL of sysexits.h)
};

struct CliFailure {
    CliExit exit = CliExit::refused;
    std::string what;
};

class AdminClient {
public:
    explicit AdminClient(std::string socket_path);

    v1::Admin::Stub& stub() { return *stub_; }
    // Bounds a call that reads. Calls that act have no deadline: they may have much to do.
    static void limit(grpc::ClientContext& call);
    CliFailure failure(const grpc::Status& status) const;

private:
    std::string socket_path_;
    std::shared_ptr<grpc::Channel> channel_;
    std::unique_ptr<v1::Admin::Stub> stub_;
};

// The login that runs the command, for the node's audit log: before sudo, if it was used.
std::string operator_name();

}  // namespace posthorse::admin
