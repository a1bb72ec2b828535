// Is what the operator's files hold good for talking to peers?
//
// Place     Under peer_credentials.h: nothing reaches gRPC that did not pass. The edge to OpenSSL's
//           certificates.
// Contract  Returns what was found, and nothing else that the files hold, written anew. Passes when
// the authorities can be read, the key belongs to the certificate, and the
//           certificate is signed by one of them, is valid now, and serves both ends of a
//           connection (RFC 5280 section 4.2.1.12); with a name, when it carries it.
// Errors    invalid: names the file, what is wrong with it, and the mend.
#pragma once

#include <optional>
#include <string>

#include "proto/types/result.h"
#include "proto/types/time.h"

namespace posthorse::replication {

struct PeerFiles {
    std::string ca_file;           // PEM: the authorities that peers' certificates come from
    std::string certificate_file;  // PEM: this node's, then those between it and an authority
    std::string key_file;          // PEM, without a passphrase
};

// What they hold, as PEM.
struct PeerIdentity {
    std::string authorities;
    std::string certificate;
    std::string key;
};

struct CheckedIdentity {
    PeerIdentity identity;
    WallTime expires;  // the certificate does
};

// `files` are named in errors.
Result<CheckedIdentity> check_identity(const PeerIdentity& identity,
                                       const PeerFiles& files,
                                       const std::optional<std::string>& name);

// For a connection to a server whose authorities may be others than those of our certificate, which
// is left out when both its file names are empty: what the files hold can be read, and the key
// belongs to the certificate.
Result<PeerIdentity> check_client(const PeerIdentity& identity, const PeerFiles& files);

}  // namespace posthorse::replication
