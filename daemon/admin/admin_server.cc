#include "daemon/admin/admin_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <grpc/support/time.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include "daemon/admin/grpc_library.h"
#include "daemon/admin/host_port.h"
#include "daemon/admin/operator_check.h"
#include "proto/types/assert.h"

namespace posthorse::admin {
namespace {

constexpr int calls_per_connection_max = 64;
constexpr int request_bytes_max = 256 * 1024;  // 1000 ids are 28 KB
// --- on the port
constexpr std::size_t memory_bytes = 64 * 1024 * 1024;
constexpr int handshake_ms = 5'000;
constexpr int ping_every_ms = 60'000;
constexpr int ping_answer_ms = 20'000;

Error failed(const std::string& path, const std::string& what) {
    return {Errc::io, "admin socket " + path + ": " + what};
}

// Does a process serve the socket already?
bool answers(const sockaddr_un& address) {
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return false;
    const int result =
        ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    ::close(probe);
    return result == 0;
}

Result<void> check_free(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return failed(path, "the path must have 1 to " +
                                std::to_string(sizeof(address.sun_path) - 1) +
                                " octets; set admin.socket to a shorter one");
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    if (answers(address)) {
        return failed(path, "another process serves it; stop that node or set admin.socket");
    }
    struct stat found{};
    if (::lstat(path.c_str(), &found) == 0 && !S_ISSOCK(found.st_mode)) {
        return failed(path, "a file that is no socket is in the way; move it or set admin.socket");
    }
    return {};
}

Result<void> make_directory(const std::string& path) {
    const auto directory = std::filesystem::path(path).parent_path();
    if (directory.empty()) return {};
    std::error_code error;
    if (!std::filesystem::create_directories(directory, error)) {
        if (!error) return {};  // it was there: its mode is its maker's
        return failed(path, "cannot make its directory: " + error.message() +
                                "; make it for the node's user or set admin.socket");
    }
    ::chmod(directory.c_str(), 0750);
    return {};
}

// The socket is born with the process's umask: no moment may pass in which others can open it.
class PrivateUmask {
public:
    PrivateUmask() : before_(::umask(0077)) {}
    ~PrivateUmask() { ::umask(before_); }
    PrivateUmask(const PrivateUmask&) = delete;
    PrivateUmask& operator=(const PrivateUmask&) = delete;

private:
    mode_t before_;
};

// Who may open the socket is trusted; whoever may reach the port is not.
void set_bounds(grpc::ServerBuilder& builder, Duration connection_age) {
    grpc::ResourceQuota quota("admin");
    quota.Resize(memory_bytes);
    builder.SetResourceQuota(quota);
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, handshake_ms);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                               static_cast<int>(connection_age.count()));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, ping_every_ms);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ping_answer_ms);
    // What some octets unfold to is nobody's to choose.
    builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
    // A second node on the port would take half of the connections.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

}  // namespace

AdminServer::AdminServer(std::string socket_path,
                         AdminContext context,
                         std::optional<AdminPort> port)
    : socket_path_(std::move(socket_path)),
      remote_(std::move(port)),
      home_(context.home),
      service_(std::move(context), operators_) {
    set_operators(remote_ ? remote_->operators : Operators{});
}

AdminServer::~AdminServer() {
    PH_ASSERT(server_ == nullptr || stopper_.joinable());
    if (stopper_.joinable()) stopper_.join();
}

Result<void> AdminServer::start() {
    PH_ASSERT(server_ == nullptr);
    if (auto free = check_free(socket_path_); !free) return free;
    if (auto made = make_directory(socket_path_); !made) return made;
    if (auto opened = open_credentials(); !opened) return opened;
    server_ = build();
    if (server_ == nullptr && socket_bound_) return port_failed();
    if (server_ == nullptr || ::chmod(socket_path_.c_str(), 0600) != 0) {
        return failed(socket_path_, "cannot listen: " + std::generic_category().message(errno) +
                                        "; check the rights of its directory or set admin.socket");
    }
    server_->GetHealthCheckService()->SetServingStatus(v1::Admin::service_full_name(), true);
    return {};
}

Result<void> AdminServer::open_credentials() {
    if (!remote_) return {};
    auto opened = replication::PeerCredentials::open(remote_->files, std::nullopt);
    if (!opened) return opened.error();
    credentials_ = std::move(*opened);
    return {};
}

Result<void> AdminServer::reload() {
    return credentials_ ? credentials_->reload() : Result<void>{};
}

void AdminServer::set_operators(Operators operators) {
    operators_.set(std::make_shared<const Operators>(std::move(operators)));
}

std::unique_ptr<grpc::Server> AdminServer::build() {
    const PrivateUmask guard;
    keep_grpc_up();
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    int socket_bound = 0;
    int port_bound = 0;
    builder.AddListeningPort("unix:" + socket_path_, grpc::InsecureServerCredentials(),
                             &socket_bound);
    if (remote_) {
        const auto credentials = credentials_->server();
        credentials->SetAuthMetadataProcessor(
            std::make_shared<OperatorCheck>(operators_, remote_->metrics));
        builder.AddListeningPort(host_port(remote_->address, remote_->port), credentials,
                                 &port_bound);
        set_bounds(builder, remote_->connection_age);
    }
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, calls_per_connection_max);
    builder.SetMaxReceiveMessageSize(request_bytes_max);
    builder.RegisterService(&service_);
    auto server = builder.BuildAndStart();
    socket_bound_ = socket_bound != 0;
    bound_ = static_cast<std::uint16_t>(port_bound);
    return server;
}

Error AdminServer::port_failed() const {
    return {Errc::io, "admin port " + host_port(remote_->address, remote_->port) +
                          ": cannot listen; is another process on it, or the address not this "
                          "machine's? Set admin.address and admin.port"};
}

void AdminServer::stop(UniqueFunction<void()> done) {
    PH_ASSERT(!stopper_.joinable());
    if (server_ == nullptr) return home_.post(std::move(done));
    stopper_ = std::thread([this, done = std::move(done)]() mutable {
        server_->Shutdown(gpr_inf_past(GPR_CLOCK_REALTIME));  // calls under way are cancelled
        server_->Wait();
        home_.post(std::move(done));
    });
}

}  // namespace posthorse::admin
