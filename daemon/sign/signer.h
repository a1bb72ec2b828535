// DKIM signatures (RFC 6376, RFC 8463), made while a message streams by.
//
// Place     Intake signs submissions with it, node.cc our own notices. signer.cc is the only file
//           that names libopendkim.
// Contract  A message goes through one Signing: header(), body() as often as wanted, finish(). The
//           result goes in front of the header section as it was given. Nothing is kept of the
//           body: memory does not grow with it.
//           Every instance of the fields that RFC 6376 section 5.4.1 names is signed, and those
//           that a reader sees are oversigned: adding another breaks the signature. Never l=
//           (section 8.2). A body without a final CRLF is signed as if it had one, and must be sent
//           so.
// Owner     Signer: node.cc; any thread. Signing: one thread at a time; finish() takes about
//           0.3 ms of processor for RSA: call it on a worker thread, unless is_brief().
// Errors    unavailable: a wanted key cannot be used, or the tables never could (451 4.7.5, P8).
//           invalid: this message cannot be signed by anybody: no From, a NUL, or a field past the
//           bounds.
// Bounds    A signed field has 60,000 bytes at most, and there are 100 of them at most: beyond,
//           libopendkim's signatures are wrong without a word.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/sign/key_ring.h"
#include "proto/types/result.h"

namespace posthorse::sign {

class Signing {
public:
    Signing(Signing&&) noexcept;
    Signing& operator=(Signing&&) noexcept;
    ~Signing();

    // The whole header section: CRLF lines, without the empty line behind it. Call it once, first.
    Result<void> header(std::string_view section);
    // The next piece of the body, wherever it is cut.
    Result<void> body(std::string_view piece);
    // The DKIM-Signature fields with their CRLF, in the order of the SigningTable.
    Result<std::string> finish();
    // finish() takes less than handing it to another thread does: 50 us for Ed25519.
    bool is_brief() const;

private:
    friend class Signer;
    struct Impl;
    explicit Signing(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

class Signer {
public:
    // `canonicalization` as the setting: "relaxed/simple" is of header and body. Ed25519 signatures
    // always have a relaxed header: with a simple one libopendkim makes wrong ones.
    explicit Signer(const std::string& canonicalization);
    ~Signer();
    Signer(const Signer&) = delete;
    Signer& operator=(const Signer&) = delete;

    // From now on; signings that have begun keep the ring they began with. Null (its tables could
    // not be read): the ring of before stays; without one, nobody's mail can be signed. Before the
    // first call nothing is signed.
    void use(std::shared_ptr<const KeyRing> ring);

    // `from` is the address in the From field, or the envelope's sender when there is none.
    // nullopt: no signature is wanted for it.
    Result<std::optional<Signing>> begin(std::string_view from) const;

private:
    struct Library;
    std::shared_ptr<const Library> library_;
    const std::shared_ptr<const KeyRing> no_keys_;  // of the time before the first use()
    std::atomic<std::shared_ptr<const KeyRing>> ring_;
};

// A message that is whole in memory: the signatures to put in front of it, empty when none are
// wanted. Takes as long as Signing::finish().
Result<std::string> sign_message(const Signer& signer,
                                 std::string_view from,
                                 std::string_view message);

}  // namespace posthorse::sign
