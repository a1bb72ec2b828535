#include "daemon/sign/private_key.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <vector>

#include "daemon/runtime/read_file.h"

namespace posthorse::sign {
namespace {

constexpr int rsa_bits_min = 1024;
constexpr unsigned rsa_bits_new = 2048;

using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

std::shared_ptr<EVP_PKEY> owned(EVP_PKEY* key) {
    return {key, EVP_PKEY_free};
}

// OpenSSL's own would ask at the terminal.
int no_passphrase(char*, int, int, void*) {
    return 0;
}

Error openssl_error(const std::string& what) {
    const auto code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return {Errc::invalid, reason == nullptr ? what : what + " (" + reason + ")"};
}

std::string contents(BIO* bio) {
    char* data = nullptr;
    const auto length = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(length)};
}

std::string base64(const unsigned char* bytes, std::size_t count) {
    std::string text(4 * ((count + 2) / 3) + 1, '\0');
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes,
                                       static_cast<int>(count));
    text.resize(static_cast<std::size_t>(length));
    return text;
}

}  // namespace

Result<PrivateKey> PrivateKey::adopt(Native key) {
    PrivateKey made;
    switch (EVP_PKEY_get_base_id(key.get())) {
        case EVP_PKEY_RSA:
            made.kind_ = KeyKind::rsa;
            break;
        case EVP_PKEY_ED25519:
            made.kind_ = KeyKind::ed25519;
            break;
        default:
            return Error{Errc::invalid, "the key is neither RSA nor Ed25519"};
    }
    if (made.kind_ == KeyKind::rsa && EVP_PKEY_get_bits(key.get()) < rsa_bits_min) {
        return Error{Errc::invalid, "the RSA key has " +
                                        std::to_string(EVP_PKEY_get_bits(key.get())) +
                                        " bits; receivers want 1024 at least, better 2048"};
    }
    const Bio out(BIO_new(BIO_s_mem()), BIO_free_all);
    if (!out || PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                         nullptr) != 1) {
        return openssl_error("the key cannot be written as PEM");
    }
    made.pem_ = contents(out.get());
    made.key_ = std::move(key);
    return made;
}

Result<PrivateKey> PrivateKey::from_pem(std::string pem) {
    const Bio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free_all);
    auto key = owned(PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr));
    if (!key) return openssl_error("it holds no private key in PEM form without a passphrase");
    return adopt(std::move(key));
}

Result<PrivateKey> PrivateKey::from_base64_der(std::string_view text) {
    std::vector<unsigned char> der(text.size());
    const int length =
        EVP_DecodeBlock(der.data(), reinterpret_cast<const unsigned char*>(text.data()),
                        static_cast<int>(text.size()));
    const unsigned char* begin = der.data();
    auto key = length > 0 ? owned(d2i_AutoPrivateKey(nullptr, &begin, length)) : nullptr;
    if (!key) return openssl_error("it is neither a path nor a private key as base64 of DER");
    return adopt(std::move(key));
}

Result<PrivateKey> PrivateKey::read(const std::string& path) {
    auto pem = runtime::read_file(path);
    if (!pem) {
        return Error{Errc::unavailable, "cannot read key '" + path + "': " + pem.error().what};
    }
    auto key = from_pem(*std::move(pem));
    if (!key) return Error{key.error().code, "key '" + path + "': " + key.error().what};
    return key;
}

Result<PrivateKey> PrivateKey::generate(KeyKind kind) {
    auto key = kind == KeyKind::rsa ? owned(EVP_RSA_gen(rsa_bits_new))
                                    : owned(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    if (!key) return openssl_error("cannot make a key");
    return adopt(std::move(key));
}

std::string PrivateKey::public_key_base64() const {
    if (kind_ == KeyKind::ed25519) {
        std::vector<unsigned char> raw(32);
        std::size_t length = raw.size();
        EVP_PKEY_get_raw_public_key(key_.get(), raw.data(), &length);
        return base64(raw.data(), length);
    }
    unsigned char* der = nullptr;
    const int length = i2d_PUBKEY(key_.get(), &der);
    auto text = length > 0 ? base64(der, static_cast<std::size_t>(length)) : std::string();
    OPENSSL_free(der);
    return text;
}

}  // namespace posthorse::sign
