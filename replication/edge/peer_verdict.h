// What the services of the peer port judge a caller by, and what they answer.
//
// Place     Under peer_service.h, the two halves of peer_exchange.h, and further services of the
//           port.
#pragma once

#include <string>

#include <grpcpp/security/auth_context.h>
#include <grpcpp/support/status.h>

#include "replication/core/control_message.h"

namespace posthorse::replication {

// Has it shown one of the pool's authorities? `peer` may be null. Any thread.
bool is_authenticated(const grpc::AuthContext* peer);

// Does the other end's certificate carry this name of a host? Their case does not matter.
bool carries_name(const grpc::AuthContext& peer, const std::string& name);

grpc::Status status_of(Refusal refusal);

// Why a call ended, printable; a remote end chose the text.
std::string problem_of(const grpc::Status& status);

}  // namespace posthorse::replication
