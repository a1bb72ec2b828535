// A pool's own certificate authority: who has a certificate of it is a peer.
//
// Place     Under ca_command.h; the edge to OpenSSL's certificates.
// Contract  Keys are ECDSA P-256. The authority signs certificates of nodes and no other
//           authorities; a node's certificate is good for both ends of a connection (RFC 5280
//           section 4.2.1.12). Serial numbers are 128 random bits.
// Errors    invalid: an authority that cannot sign; the text says what it lacks. unavailable:
//           OpenSSL could not make one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/types/result.h"
#include "proto/types/time.h"

namespace posthorse::pool {

// The name in a certificate that all nodes share.
inline constexpr std::string_view shared_name = "posthorse-pool";

// A certificate and its key, as PEM.
struct Credentials {
    std::string certificate;
    std::string key;
};

struct Validity {
    WallTime from;
    WallTime until;
};

struct Issued {
    Credentials credentials;
    WallTime until;  // not after the authority's own end
};

struct IssueRequest {
    std::vector<std::string> names;  // host names and IP addresses, without ports; at least one
    Validity validity;
};

Result<Issued> make_authority(const Validity& validity);
Result<Issued> issue(const Credentials& authority, const IssueRequest& request);

}  // namespace posthorse::pool
