#include "daemon/admin/cli_client.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include <grpc/support/time.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "daemon/admin/grpc_library.h"
#include "daemon/admin/host_port.h"
#include "daemon/config/join_entry.h"
#include "daemon/runtime/read_file.h"

namespace posthorse::admin {
namespace {

constexpr int read_seconds_max = 60;
// One message with very many recipients is larger than gRPC's default of 4 MB.
constexpr int response_bytes_max = 64 * 1024 * 1024;

grpc::ChannelArguments channel_arguments() {
    keep_grpc_up();
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(response_bytes_max);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    return arguments;
}

std::shared_ptr<grpc::Channel> open_channel(const std::string& socket_path) {
    return grpc::CreateCustomChannel("unix:" + socket_path, grpc::InsecureChannelCredentials(),
                                     channel_arguments());
}

Result<std::string> read_option(const std::string& option, const std::string& path) {
    auto text = runtime::read_file(path);
    if (text && !text->empty()) return text;
    return Error{Errc::io, option + ": cannot read '" + path +
                               "', or it is empty; correct the path or the file's permissions"};
}

Result<config::JoinEntry> parse_address(const std::string& text) {
    auto entry = config::parse_join_entry(text);
    if (entry && entry->kind != config::JoinEntry::Kind::service) {
        if (entry->port == 0) entry->port = admin_port_standard;
        return *entry;
    }
    return Error{Errc::invalid, "--address: '" + text +
                                    "' is not where a node is; write \"host:9627\", an IPv6 "
                                    "address in brackets"};
}

std::string from_environment(const std::string& given, const char* variable) {
    const char* set = given.empty() ? std::getenv(variable) : nullptr;
    return set == nullptr ? given : set;
}

}  // namespace

AdminAddress AdminAddress::or_environment() const {
    return {.address = from_environment(address, admin_address_variable),
            .ca_file = from_environment(ca_file, admin_ca_variable),
            .certificate_file = from_environment(certificate_file, admin_certificate_variable),
            .key_file = from_environment(key_file, admin_key_variable),
            .server_name = server_name};
}

AdminClient::AdminClient(std::string socket_path)
    : AdminClient(socket_path,
                  "start it with `posthorse serve`, run this as the node's user, or name its "
                  "socket with --socket PATH",
                  open_channel(socket_path)) {}

AdminClient::AdminClient(std::string where,
                         std::string mend,
                         std::shared_ptr<grpc::Channel> channel)
    : where_(std::move(where)),
      mend_(std::move(mend)),
      channel_(std::move(channel)),
      stub_(v1::Admin::NewStub(channel_)) {}

Result<AdminClient> AdminClient::afar(const AdminAddress& at) {
    const auto entry = parse_address(at.address);
    if (!entry) return entry.error();
    if (at.ca_file.empty() || at.certificate_file.empty() || at.key_file.empty()) {
        return Error{Errc::invalid,
                     "--address needs --ca, --certificate and --key too: your certificate says who "
                     "you are"};
    }
    const auto authority = read_option("--ca", at.ca_file);
    if (!authority) return authority.error();
    const auto certificate = read_option("--certificate", at.certificate_file);
    if (!certificate) return certificate.error();
    const auto key = read_option("--key", at.key_file);
    if (!key) return key.error();
    auto arguments = channel_arguments();
    if (!at.server_name.empty()) arguments.SetSslTargetNameOverride(at.server_name);
    const auto where = host_port(entry->name, entry->port);
    return AdminClient(
        where,
        "see that admin.address is set there and the way to it is open, that the certificate of "
        "--certificate is good and of the authority in the node's admin.ca_file, and that the "
        "node's is of --ca and carries the name",
        grpc::CreateCustomChannel(
            "dns:///" + where, grpc::SslCredentials({*authority, *key, *certificate}), arguments));
}

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
                "no node answers on " + where_ + " (" + status.error_message() + "): " + mend_};
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
