#include "daemon/admin/cli_client.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include <grpc/support/time.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "daemon/admin/grpc_library.h"

namespace posthorse::admin {
namespace {

constexpr int read_seconds_max = 60;
// One message with very many recipients is larger than gRPC's default of 4 MB.
constexpr int response_bytes_max = 64 * 1024 * 1024;

std::shared_ptr<grpc::Channel> open_channel(const std::string& socket_path) {
    keep_grpc_up();
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(response_bytes_max);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    return grpc::CreateCustomChannel("unix:" + socket_path, grpc::InsecureChannelCredentials(),
                                     arguments);
}

}  // namespace

AdminClient::AdminClient(std::string socket_path)
    : socket_path_(std::move(socket_path)),
      channel_(open_channel(socket_path_)),
      stub_(v1::Admin::NewStub(channel_)) {}

void AdminClient::limit(grpc::ClientContext& call) {
    call.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                   gpr_time_from_seconds(read_seconds_max, GPR_TIMESPAN)));
}

CliFailure AdminClient::failure(const grpc::Status& status) const {
    if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT) {
        return {CliExit::usage, status.error_message()};
    }
    // UNAVAILABLE is also a node's own answer (no lease, no owner); then the channel is up.
    const bool connected = channel_->GetState(false) == GRPC_CHANNEL_READY;
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE && !connected) {
        return {CliExit::unreachable,
                "no node answers on " + socket_path_ + " (" + status.error_message() +
                    "): start it with `posthorse serve`, run this as the node's user, or name "
                    "its socket with --socket PATH"};
    }
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
        return {CliExit::incomplete, status.error_message()};
    }
    return {CliExit::refused, status.error_message()};
}

std::string operator_name() {
    if (const char* before_sudo = std::getenv("SUDO_USER")) return before_sudo;
    const passwd* entry = ::getpwuid(::geteuid());
    return entry == nullptr ? "uid " + std::to_string(::geteuid()) : entry->pw_name;
}

}  // namespace posthorse::admin
