#include "daemon/sign/key_lease.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "proto/types/assert.h"

namespace {

thread_local posthorse::sign::KeyLease* current_lease = nullptr;

}  // namespace

// The names are the linker's: a call of f becomes one of __wrap_f, and __real_f is the library's f.
extern "C" {
EVP_PKEY* __real_PEM_read_bio_PrivateKey(BIO* bio,
                                         EVP_PKEY** key,
                                         pem_password_cb* ask,
                                         void* data);
void __real_EVP_PKEY_free(EVP_PKEY* key);
EVP_PKEY* __wrap_PEM_read_bio_PrivateKey(BIO* bio,
                                         EVP_PKEY** key,
                                         pem_password_cb* ask,
                                         void* data);
void __wrap_EVP_PKEY_free(EVP_PKEY* key);

EVP_PKEY* __wrap_PEM_read_bio_PrivateKey(BIO* bio,
                                         EVP_PKEY** key,
                                         pem_password_cb* ask,
                                         void* data) {
    if (current_lease != nullptr) return current_lease->take();
    return __real_PEM_read_bio_PrivateKey(bio, key, ask, data);
}

void __wrap_EVP_PKEY_free(EVP_PKEY* key) {
    if (current_lease != nullptr) static_cast<void>(current_lease->give_back(key));
    __real_EVP_PKEY_free(key);
}
}

namespace posthorse::sign {

KeyLease::KeyLease(EVP_PKEY* key) : key_(key) {
    PH_ASSERT(current_lease == nullptr);
    current_lease = this;
}

KeyLease::~KeyLease() {
    current_lease = nullptr;
    for (; out_ > 0; --out_) __real_EVP_PKEY_free(key_);
}

EVP_PKEY* KeyLease::take() {
    if (EVP_PKEY_up_ref(key_) != 1) return nullptr;
    ++out_;
    return key_;
}

bool KeyLease::give_back(const EVP_PKEY* key) {
    if (key != key_ || out_ == 0) return false;
    --out_;
    return true;
}

}  // namespace posthorse::sign
