// Looks at certificates as a peer's OpenSSL does.
#pragma once

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>
#include <string>

#include <doctest/doctest.h>

#include "proto/types/time.h"

namespace posthorse::tests {

struct FreeCertificate {
    void operator()(X509* certificate) const { X509_free(certificate); }
};
using Certificate = std::unique_ptr<X509, FreeCertificate>;

inline Certificate parse_certificate(const std::string& pem) {
    BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    Certificate read(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
    BIO_free(bio);
    REQUIRE(read);
    return read;
}

// Whether `key` (PEM) is the certificate's.
inline bool belongs_to(const std::string& key, const Certificate& certificate) {
    BIO* bio = BIO_new_mem_buf(key.data(), static_cast<int>(key.size()));
    EVP_PKEY* read = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    const bool same = read != nullptr && X509_check_private_key(certificate.get(), read) == 1;
    EVP_PKEY_free(read);
    return same;
}

// X509_V_OK, or why `authority` does not vouch for `certificate` at `now`. `purpose` is
// X509_PURPOSE_SSL_SERVER or X509_PURPOSE_SSL_CLIENT.
inline int verify(const Certificate& certificate,
                  const Certificate& authority,
                  WallTime now,
                  int purpose = X509_PURPOSE_SSL_SERVER) {
    X509_STORE* store = X509_STORE_new();
    X509_STORE_add_cert(store, authority.get());
    X509_STORE_CTX* context = X509_STORE_CTX_new();
    X509_STORE_CTX_init(context, store, certificate.get(), nullptr);
    X509_STORE_CTX_set_purpose(context, purpose);
    X509_STORE_CTX_set_time(
        context, 0, std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count());
    X509_STORE_CTX_set_flags(context, X509_V_FLAG_X509_STRICT);
    const int verified = X509_verify_cert(context);
    const int error = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return verified == 1 ? X509_V_OK : error;
}

inline bool names(const Certificate& certificate, const std::string& host) {
    return X509_check_host(certificate.get(), host.data(), host.size(), 0, nullptr) == 1 ||
           X509_check_ip_asc(certificate.get(), host.c_str(), 0) == 1;
}

}  // namespace posthorse::tests
