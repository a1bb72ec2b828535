#include "replication/edge/peer_server.h"

#include <grpc/support/time.h>
#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>

#include "proto/types/assert.h"

namespace posthorse::replication {
namespace {

constexpr int handshake_ms = 5'000;
constexpr int ping_every_ms = 10'000;
constexpr int ping_answer_ms = 5'000;
constexpr int ping_least_ms = 2'000;  // peers send one in five seconds
constexpr int metadata_bytes_max = 8 * 1024;
constexpr int threads_max = 4;

// Plug-ins are the process's: who enables reflection for operators enables it for every server that
// is built later, and so with the health service.
class NoPlugins final : public grpc::ServerBuilderOption {
public:
    void UpdateArguments(grpc::ChannelArguments*) override {}
    void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
        plugins->clear();
    }
};

void serve_nothing_else(grpc::ServerBuilder& builder) {
    builder.SetOption(std::make_unique<NoPlugins>());
    builder.SetOption(std::make_unique<grpc::HealthCheckServiceServerBuilderOption>(nullptr));
}

void set_bounds(grpc::ServerBuilder& builder) {
    grpc::ResourceQuota quota("peers");
    quota.Resize(peer_memory_bytes).SetMaxThreads(threads_max);
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(exchange_message_bytes_max);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, peer_streams_max);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, metadata_bytes_max);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, exchange_window_bytes);
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, handshake_ms);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, ping_every_ms);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ping_answer_ms);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                               ping_least_ms);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    // Peers do not compress; what some octets unfold to is nobody's to choose.
    builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
    // Two nodes on one port would each get half of the messages.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

std::string endpoint(const std::string& address, std::uint16_t port) {
    const bool is_v6 = address.find(':') != std::string::npos;
    return (is_v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

}  // namespace

PeerServer::PeerServer(Executor& home, std::unique_ptr<PeerService> service)
    : home_(home), service_(std::move(service)) {}

PeerServer::~PeerServer() {
    PH_ASSERT(server_ == nullptr || stopper_.joinable());
    if (stopper_.joinable()) stopper_.join();
}

Result<void> PeerServer::open(const std::string& address,
                              std::uint16_t port,
                              std::shared_ptr<grpc::ServerCredentials> credentials,
                              const std::vector<grpc::Service*>& others) {
    PH_ASSERT(server_ == nullptr);
    const auto where = endpoint(address, port);
    int bound = 0;
    grpc::ServerBuilder builder;
    serve_nothing_else(builder);
    set_bounds(builder);
    builder.AddListeningPort(where, std::move(credentials), &bound);
    builder.RegisterService(service_.get());
    for (auto* other : others) builder.RegisterService(other);
    server_ = builder.BuildAndStart();
    if (server_ != nullptr && bound != 0) {
        port_ = static_cast<std::uint16_t>(bound);
        return {};
    }
    return Error{Errc::io, "peer port " + where +
                               ": cannot listen; is another node on it, or the address not this "
                               "machine's? Set pool.address and pool.port"};
}

void PeerServer::stop(UniqueFunction<void()> done) {
    PH_ASSERT(!stopper_.joinable());
    service_->stop();
    if (server_ == nullptr) return home_.post(std::move(done));
    stopper_ = std::thread([this, done = std::move(done)]() mutable {
        server_->Shutdown(gpr_inf_past(GPR_CLOCK_REALTIME));  // calls under way are cancelled
        server_->Wait();
        home_.post(std::move(done));
    });
}

}  // namespace posthorse::replication
