// The way to an address: a channel of gRPC with this project's arguments.
//
// Place     Under peer_client.h, for messages, exchange_client.h, for streams, and etcd_client.h.
// Contract  Nothing connects before the first call. A dead peer is noticed within ten seconds
//           though nothing is sent. Channels share nothing, so each has a connection of its own:
//           what fails or queues at one address, or in one stream of mail, delays no other.
#pragma once

#include <memory>
#include <string>

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

namespace posthorse::replication {

// Once a process, before anything else of gRPC; more do no harm. Without it the library ends with
// the last object of it, and that end may take ten seconds; and whoever connects writes to our
// standard error: a line for every handshake that fails, and for every name that is not in the
// certificate.
void prepare_grpc();

// `message_bytes_max`: of what is sent and of what comes.
std::shared_ptr<grpc::Channel> make_peer_channel(
    const std::string& address,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    int message_bytes_max);

// To etcd, which hangs up on who pings it as often: whether it lives the caller must ask.
std::shared_ptr<grpc::Channel> make_etcd_channel(
    const std::string& address,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    int message_bytes_max);

}  // namespace posthorse::replication
