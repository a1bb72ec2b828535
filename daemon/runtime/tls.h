// OpenSSL's contexts: what this node shows as a server and accepts as a client.
//
// Place     The node keeps the server's, each delivery pool a client's; a connection takes one to
//           its handshake (stream.h).
// Contract  TLS 1.2 and 1.3 (RFC 8996 ends the older ones), Mozilla's intermediate ciphers, no
//           renegotiation, no compression; sessions are resumed both ways. A server refuses clients
//           that name another protocol than SMTP (ALPN).
//           A context is immutable; a reload makes a new one, and connections keep theirs: no
//           session is dropped by a renewal.
// Errors    Result with `invalid`, naming the file and what is wrong with it.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/ssl/context.hpp>

#include "proto/types/result.h"

namespace posthorse::runtime {

namespace asio = boost::asio;

// What a connection takes at its handshake.
using TlsContext = asio::ssl::context;

// Where a server's identity comes from: files, or the environment variables TLS_CERT, TLS_KEY and
// TLS_CA_BUNDLE (PEM texts) when the files are not named.
struct TlsIdentity {
    std::string certificate_file;
    std::string key_file;
    bool configured() const;
};

Result<std::shared_ptr<asio::ssl::context>> make_server_context(const TlsIdentity& identity);
// For opportunistic TLS: no certificate is verified (RFC 7435).
std::shared_ptr<asio::ssl::context> make_client_context();

}  // namespace posthorse::runtime
