// Lends libopendkim a key that is parsed already.
//
// Stock libopendkim parses the PEM text at each signature (350 us, more than the signature itself
// for Ed25519), and forgets the parsed Ed25519 key afterwards. The linker redirects its calls of
// PEM_read_bio_PrivateKey and EVP_PKEY_free to this file (--wrap, see meson.build), which hands out
// the leased key and takes back every reference that was not returned.
//
// Contract  While a lease lives, its thread gets `key` for whatever text it asks to parse; all
//           other threads, and this one before and after, get OpenSSL's own. Leases do not nest.
// Owner     The stack frame that finishes a signature.
#pragma once

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace posthorse::sign {

class KeyLease {
public:
    // `key` must outlive the lease.
    explicit KeyLease(evp_pkey_st* key);
    ~KeyLease();
    KeyLease(const KeyLease&) = delete;
    KeyLease& operator=(const KeyLease&) = delete;

    // The borrower's calls, from the wrapped functions.
    evp_pkey_st* take();
    bool give_back(const evp_pkey_st* key);  // false: it is not the leased one, or not out

private:
    evp_pkey_st* key_;
    unsigned out_ = 0;  // references that the borrower holds
};

}  // namespace posthorse::sign
