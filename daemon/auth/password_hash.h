// Passwords as yescrypt hashes.
//
// Place     The only file that names libcrypt. Called on the authenticator's threads and by the
//           command line; never on an event loop: one hash takes about 13 ms and 16 MB.
// Contract  Any thread. Comparisons take the same time wherever two hashes differ.
// Errors    hash_password: invalid when the password cannot be one; unavailable without entropy or
//           memory.
#pragma once

#include <string>

#include "proto/types/result.h"

namespace posthorse::auth {

// libcrypt's own bound; longer ones are refused, not cut.
inline constexpr std::size_t password_bytes_max = 511;

Result<std::string> hash_password(const std::string& password);
// False too for a hash that libcrypt does not know.
bool verify_password(const std::string& password, const std::string& hash);
// Costs what verify_password() costs: an unknown login must not be told by its answer's time.
void verify_nothing(const std::string& password);
// Whether `hash` is of a method that verify_password() knows.
bool is_known_hash(const std::string& hash);

}  // namespace posthorse::auth
