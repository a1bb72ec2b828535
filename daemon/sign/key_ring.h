// Who signs with what: both tables and all keys, read at one moment.
//
// Place     Made by node.cc at start and at each reload, used by signer.h.
// Contract  Immutable; shared by all threads while a newer one may already be in use.
// Errors    load() names rows and keys that are not as they should be and uses the rest. A sender
//           whose row has no usable key gets an error by select(), never silence: its mail is not
//           to leave unsigned (P8).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.h"
#include "daemon/sign/private_key.h"
#include "daemon/sign/signing_table.h"
#include "proto/types/result.h"

namespace posthorse::sign {

// One signature to be made.
struct Identity {
    const PrivateKey* key = nullptr;  // of the ring
    std::string domain;               // d=
    std::string selector;             // s=
    std::string signer;               // i=; empty: none
};

class KeyRing {
public:
    struct Loaded;
    // Empty table names: a ring that signs nothing. A table that cannot be read: no ring, so that
    // nobody takes that for "sign nothing"; the one of before stays in use.
    static Loaded load(const config::Dkim& settings);

    // The signatures wanted for mail from `address`; none is a good answer. unavailable: a key that
    // is wanted cannot be used; `what` says which and why.
    Result<std::vector<Identity>> select(std::string_view address) const;

    std::size_t usable_key_count() const;

private:
    struct Entry {
        KeyRow row;
        Result<PrivateKey> key;
    };

    void read_keys(KeyTable table, const std::string& file, std::vector<config::Problem>& problems);
    void check_names(const std::string& file, std::vector<config::Problem>& problems) const;
    Result<Identity> identity(const SigningRow& row, std::string_view domain) const;

    std::map<std::string, Entry, std::less<>> keys_;
    std::vector<SigningRow> rows_;
};

struct KeyRing::Loaded {
    std::shared_ptr<const KeyRing> ring;
    std::vector<config::Problem> problems;
};

}  // namespace posthorse::sign
