// The DKIM signatures of a message, verified while it streams by (RFC 6376, RFC 8463).
//
// Place     Driven by daemon/verify, which looks up the keys. With signer.cc the only file that
//           talks to libopendkim (opendkim.h).
// Contract  A message goes through one DkimCheck: header(), body() as often as wanted, finish()
//           with what the DNS said of the keys in wanted_keys(). The octets must be those that came
//           in. Nothing is kept of the body: memory does not grow with it.
//           Each signature has its own result; a malformed one never keeps another from its own.
//           RSA-SHA1 and RSA keys below 1024 bits verify nothing (RFC 8301). A signature of a part
//           of the body (l=) is good, and its reason says so.
// Owner     DkimVerifier: node.cc; any thread. DkimCheck: one thread at a time; finish() takes
//           milliseconds when a stranger wants it to: call it on a worker thread.
// Errors    make() and begin(): unavailable: the library gives no handle. Whatever is wrong with
//           the message is a result.
// Bounds    The first signatures_max of a message; header fields above header_bytes_max octets, or
//           with a NUL, are as if they were not there, and fields beyond fields_max end the check.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/mail/header.h"
#include "proto/types/result.h"

namespace posthorse::sign {

enum class DkimResult : std::uint8_t {
    pass,
    fail,
    policy,     // beyond the bounds above
    temperror,  // the key could not be looked up now
    permerror,  // malformed, or its key is
};

std::string_view to_string(DkimResult result);

struct DkimVerdict {
    DkimResult result = DkimResult::permerror;
    std::string domain;     // d=
    std::string selector;   // s=
    std::string algorithm;  // a=
    std::string signature;  // b=
    std::string reason;     // for people; empty: none
};

// What the DNS said of a key: the TXT records there.
struct DkimKeyAnswer {
    enum class End : std::uint8_t { found, absent, failed };
    End end = End::failed;
    std::vector<std::string> records;
};
// By the name that was asked for: "selector._domainkey.example.org".
using DkimKeyAnswers = std::map<std::string, DkimKeyAnswer, std::less<>>;

class DkimCheck {
public:
    static constexpr std::size_t signatures_max = 10;
    static constexpr std::size_t fields_max = 1000;
    static constexpr std::size_t header_bytes_max = 60'000;

    DkimCheck(DkimCheck&&) noexcept;
    DkimCheck& operator=(DkimCheck&&) noexcept;
    ~DkimCheck();

    // Once, first.
    void header(const mail::Header& header);
    // Each name once. None: no signature is worth a key, and finish() takes no time.
    const std::vector<std::string>& wanted_keys() const;
    // The next piece of the body, wherever it is cut.
    void body(std::string_view piece);
    // In the order of the signatures; empty: there is none.
    std::vector<DkimVerdict> finish(const DkimKeyAnswers& keys);

private:
    friend class DkimVerifier;
    struct Impl;
    explicit DkimCheck(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

class DkimVerifier {
public:
    static Result<std::unique_ptr<DkimVerifier>> make();
    ~DkimVerifier();
    DkimVerifier(const DkimVerifier&) = delete;
    DkimVerifier& operator=(const DkimVerifier&) = delete;

    Result<DkimCheck> begin() const;

private:
    struct Library;
    explicit DkimVerifier(std::shared_ptr<const Library> library);
    std::shared_ptr<const Library> library_;
};

}  // namespace posthorse::sign
