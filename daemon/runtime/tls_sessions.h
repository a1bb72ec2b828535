// The sessions that servers gave this node, for its next connections to them: a handshake without
// certificates and signatures (RFC 8446 section 2.2; RFC 5077 for TLS 1.2).
//
// Place     Of a client's context (tls.h). tls_stream.cc names the peer before each handshake.
// Contract  A peer is a server and the name that was meant: what was verified for one name is of no
//           use for another. A server that does not know a session any more is met with a whole
//           handshake; nobody notices.
// Owner     keep_sessions() ties them to the context, whose end is theirs. Any thread.
// Bounds    `sessions_max`; whoever was not met for longest is forgotten.
#pragma once

#include <cstddef>
#include <string>

#include <openssl/types.h>

namespace posthorse::runtime {

inline constexpr std::size_t sessions_max = 1000;

void keep_sessions(SSL_CTX* context);
// Before the handshake. Without keep_sessions() nothing happens.
void resume_session(SSL* connection, std::string peer);

}  // namespace posthorse::runtime
