#include "replication/edge/peer_channel.h"

#include <cstdlib>

#include <google/protobuf/stubs/logging.h>
#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include "replication/edge/peer_limits.h"

namespace posthorse::replication {
namespace {

constexpr int connect_ms = 2'000;
constexpr int backoff_least_ms = 200;
constexpr int backoff_most_ms = 1'000;
constexpr int ping_every_ms = 5'000;
constexpr int ping_answer_ms = 5'000;
constexpr int idle_ms = 5 * 60 * 1'000;
constexpr int resolve_again_ms = 1'000;  // a container that begins anew has another address

grpc::ChannelArguments arguments(int message_bytes_max) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(message_bytes_max);
    arguments.SetMaxSendMessageSize(message_bytes_max);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, exchange_window_bytes);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, connect_ms);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, backoff_least_ms);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, backoff_most_ms);
    arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, resolve_again_ms);
    arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, idle_ms);
    // Channels share nothing: what fails at one address delays no other.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // whatever the environment says
    arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    return arguments;
}

grpc::ChannelArguments with_pings(grpc::ChannelArguments arguments) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, ping_every_ms);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ping_answer_ms);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // as many as it takes
    return arguments;
}

// As a URI, in which the brackets of an IPv6 address have no place. The scheme stands before what a
// peer may have said, so that it names a host and nothing else.
std::string target(const std::string& address) {
    std::string target = "dns:///";
    for (const char c : address) {
        switch (c) {
            case '[':
                target += "%5B";
                break;
            case ']':
                target += "%5D";
                break;
            case '%':
                target += "%25";
                break;
            default:
                target += c;
        }
    }
    return target;
}

}  // namespace

void prepare_grpc() {
    [[maybe_unused]] static const bool prepared = [] {
        grpc_init();  // never paired with grpc_shutdown()
        if (std::getenv("GRPC_VERBOSITY") != nullptr) return true;  // somebody wants to see them
        gpr_set_log_function([](gpr_log_func_args*) {});
        google::protobuf::SetLogHandler(nullptr);
        return true;
    }();
}

std::shared_ptr<grpc::Channel> make_peer_channel(
    const std::string& address,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    int message_bytes_max) {
    return grpc::CreateCustomChannel(target(address), credentials,
                                     with_pings(arguments(message_bytes_max)));
}

std::shared_ptr<grpc::Channel> make_etcd_channel(
    const std::string& address,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    int message_bytes_max) {
    return grpc::CreateCustomChannel(target(address), credentials, arguments(message_bytes_max));
}

}  // namespace posthorse::replication
