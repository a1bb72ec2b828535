// A private key for signatures: RSA or Ed25519, parsed once.
//
// Contract  Immutable; any thread may sign with it.
// Errors    invalid: no key, encrypted, of another kind, or RSA below 1024 bits (RFC 8301 asks for
//           2048 in new keys). unavailable: the file cannot be read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proto/types/result.h"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace posthorse::sign {

enum class KeyKind : std::uint8_t { rsa, ed25519 };

class PrivateKey {
public:
    static Result<PrivateKey> read(const std::string& path);  // PEM
    static Result<PrivateKey> from_pem(std::string pem);
    static Result<PrivateKey> from_base64_der(std::string_view text);
    // RSA of 2048 bits, or Ed25519.
    static Result<PrivateKey> generate(KeyKind kind);

    KeyKind kind() const noexcept { return kind_; }
    // PKCS #8; libopendkim wants the text beside the parsed key.
    const std::string& pem() const noexcept { return pem_; }
    evp_pkey_st* native() const noexcept { return key_.get(); }
    // For p= in DNS: RSA as SubjectPublicKeyInfo (RFC 6376 section 3.6.1), Ed25519 as the bare 32
    // octets (RFC 8463 section 4).
    std::string public_key_base64() const;

private:
    using Native = std::shared_ptr<evp_pkey_st>;
    static Result<PrivateKey> adopt(Native key);

    Native key_;
    KeyKind kind_ = KeyKind::rsa;
    std::string pem_;
};

}  // namespace posthorse::sign
