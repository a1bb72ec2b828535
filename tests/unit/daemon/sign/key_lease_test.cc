#include "daemon/sign/key_lease.h"

#include <doctest/doctest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <thread>

#include "daemon/sign/private_key.h"

using namespace posthorse::sign;

namespace {

// As libopendkim does it.
EVP_PKEY* parse(const std::string& pem) {
    BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    return key;
}

}  // namespace

TEST_CASE("under a lease its thread gets the leased key, others parse") {
    const auto key = PrivateKey::generate(KeyKind::ed25519);
    const auto other = PrivateKey::generate(KeyKind::ed25519);
    const KeyLease lease(key->native());
    EVP_PKEY* got = parse(other->pem());
    CHECK(got == key->native());
    EVP_PKEY_free(got);
    std::thread([&] {
        EVP_PKEY* parsed = parse(other->pem());
        CHECK(parsed != key->native());
        CHECK(EVP_PKEY_eq(parsed, other->native()) == 1);
        EVP_PKEY_free(parsed);
    }).join();
}

TEST_CASE("references that the borrower forgot do not harm the key") {
    const auto key = PrivateKey::generate(KeyKind::ed25519);
    for (int i = 0; i < 3; ++i) {
        KeyLease lease(key->native());
        CHECK(lease.take() == key->native());
        CHECK(lease.take() == key->native());
        EVP_PKEY_free(key->native());
        CHECK_FALSE(lease.give_back(nullptr));
    }
    CHECK(key->public_key_base64().size() == 44);
    EVP_PKEY* parsed = parse(key->pem());  // no lease any more
    CHECK(parsed != key->native());
    EVP_PKEY_free(parsed);
}
