// What a server keeps of a password for SCRAM-SHA-256: enough to check a proof, too little to make
// one (RFC 5802 section 3).
//
// Contract  Pure. The text is what `gsasl --mkpasswd` writes:
//           "{SCRAM-SHA-256}iterations,salt,StoredKey,ServerKey", the latter three in base64.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace posthorse::auth {

// Of keys that are made here: some 50 ms of a client's time. Those made up for unknown logins say
// the same number.
inline constexpr std::uint32_t scram_iterations = 65'536;

struct ScramKeys {
    std::uint32_t iterations = scram_iterations;
    std::string salt;  // base64, like the keys
    std::string stored_key;
    std::string server_key;
    bool operator==(const ScramKeys&) const = default;
};

// nullopt: not of this form, keys of another length than SHA-256's, fewer than 4096 iterations
// (RFC 7677 section 4) or more than ten millions.
std::optional<ScramKeys> parse_scram_keys(std::string_view text);
std::string to_text(const ScramKeys& keys);

}  // namespace posthorse::auth
