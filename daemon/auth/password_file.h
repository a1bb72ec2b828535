// The password file: lines of "login:hash", or "login:hash:keys" with keys for SCRAM.
//
// Contract  A line "#scram-secret:base64" hides from strangers which logins are there: keys of
//           those that are not are made up from it. It comes with the first keys that are written.
//           Logins are compared in lower case. A malformed row is skipped and named; empty lines
//           and lines that begin with '#' are kept as they are.
//           A change is written to a new file, synced, and renamed over the old one, under a lock:
//           a reader sees the old file or the new one, and two writers lose nothing. A new file has
//           mode 0600; a changed one keeps its owner and never becomes readable for others.
// Errors    io with path and reason; conflict: the login is there already; not_found: it is not;
//           invalid: it cannot be a login.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/auth/scram_keys.h"
#include "daemon/config/config.h"
#include "proto/types/result.h"

namespace posthorse::auth {

// Lower case; nullopt when it holds a colon, a space, a control or an octet above 126, is empty or
// longer than 320 bytes.
std::optional<std::string> normalise_login(std::string_view login);

struct PasswordTable {
    std::map<std::string, std::string, std::less<>> hashes;    // by normalised login
    std::map<std::string, ScramKeys, std::less<>> scram_keys;  // of some of them
    std::string scram_secret;                                  // octets; empty: the file has none
    std::vector<config::Problem> problems;                     // rows that were skipped
};
PasswordTable parse_passwords(std::string_view text, const std::string& file_name);
Result<PasswordTable> load_passwords(const std::string& path);

// What stands behind a login: "hash" or "hash:keys".
struct Verifiers {
    std::string hash;
    std::optional<ScramKeys> keys;
};

// The first makes the file when there is none.
Result<void> add_login(const std::string& path, std::string_view login, const Verifiers& verifiers);
Result<void> change_login(const std::string& path,
                          std::string_view login,
                          const Verifiers& verifiers);
Result<void> remove_login(const std::string& path, std::string_view login);

}  // namespace posthorse::auth
