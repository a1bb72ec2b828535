// The commands' end of the admin socket or port: the stub, deadlines, and what a failure means to a
// shell.
//
// Contract  One object a command; calls block.
//           On a port the node's certificate must come from the authority and carry the name.
// Errors    afar(): invalid or io; what is missing or cannot be read, and the mend.
//           A failed call becomes a CliFailure: `unreachable` when no node answers there,
//           `usage` when the node finds the request malformed, `incomplete` when it cannot be
//           done now, else `refused`.
#pragma once

#include <memory>
#include <string>

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "posthorse/v1/admin.grpc.pb.h"
#include "proto/types/result.h"

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

// A node's admin port, and what is shown to it.
struct AdminAddress {
    std::string address;  // "host:port"; without a port: 9627
    std::string ca_file;  // PEM, as the others
    std::string certificate_file;
    std::string key_file;
    std::string server_name;  // in the node's certificate; empty: the host of `address`

    // With what is not given taken from the environment.
    AdminAddress or_environment() const;
};
inline constexpr const char* admin_address_variable = "POSTHORSE_ADMIN_ADDRESS";
inline constexpr const char* admin_ca_variable = "POSTHORSE_ADMIN_CA";
inline constexpr const char* admin_certificate_variable = "POSTHORSE_ADMIN_CERTIFICATE";
inline constexpr const char* admin_key_variable = "POSTHORSE_ADMIN_KEY";

class AdminClient {
public:
    explicit AdminClient(std::string socket_path);
    static Result<AdminClient> afar(const AdminAddress& at);

    v1::Admin::Stub& stub() { return *stub_; }
    // Bounds a call that reads. Calls that act have no deadline: they may have much to do.
    static void limit(grpc::ClientContext& call);
    CliFailure failure(const grpc::Status& status) const;

private:
    AdminClient(std::string where, std::string mend, std::shared_ptr<grpc::Channel> channel);

    std::string where_;
    std::string mend_;  // when no node answers
    std::shared_ptr<grpc::Channel> channel_;
    std::unique_ptr<v1::Admin::Stub> stub_;
};

// The login that runs the command, for the node's audit log: before sudo, if it was used.
std::string operator_name();

}  // namespace posthorse::admin
