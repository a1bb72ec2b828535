// What the certificate says that the other end of a call between peers has shown.
//
// Place     For the services on the peer port, and for who calls them.
// Contract  Any thread.
#pragma once

#include <string>

#include <grpcpp/security/auth_context.h>

namespace posthorse::replication {

// Has it shown one of the pool's authorities? `peer` may be null.
bool is_authenticated(const grpc::AuthContext* peer);

// Does it carry the name? Letter case does not matter.
bool carries(const grpc::AuthContext& peer, const std::string& name);

}  // namespace posthorse::replication
