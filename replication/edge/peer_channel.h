// The way to an address, over mutual TLS: a channel of gRPC with this project's arguments.
//
// Place     Under peer_client.h, for messages, and exchange_client.h, for streams.
// Contract  Nothing connects before the first call. A dead peer is noticed within ten seconds
//           though nothing is sent. Channels share nothing, so each has a connection of its own:
//           what fails or queues at one address, or in one stream of mail, delays no other.
#pragma once

#include <memory>
#include <string>

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

namespace posthorse::replication {

// `message_bytes_max`: of what is sent and of what comes.
std::shared_ptr<grpc::Channel> make_peer_channel(
    const std::string& address,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    int message_bytes_max);

}  // namespace posthorse::replication
