// `posthorse dkim keygen`: makes a key, and prints what DNS and the tables need of it.
//
// Place     Called by daemon/main.cc.
// Contract  Writes <selector>._domainkey.<domain>.pem into `directory` with mode 0600 and never
//           over an existing file. Returns the process's exit code: 0 done; 1 refused, with the
//           reason on `err`.
#pragma once

#include <iosfwd>
#include <string>

#include "daemon/sign/private_key.h"

namespace posthorse::sign {

struct KeygenCommand {
    std::string domain;
    std::string selector;
    KeyKind kind = KeyKind::rsa;
    std::string directory;
};
int keygen(const KeygenCommand& command, std::ostream& out, std::ostream& err);

// The TXT record in a zone file's form, in strings of at most 255 octets (RFC 1035 section 3.3).
std::string dns_record(const KeygenCommand& command, const PrivateKey& key);

}  // namespace posthorse::sign
