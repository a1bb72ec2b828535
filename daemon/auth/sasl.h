// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), by GNU SASL.
//
// Place     With sasl.cc the only file that names GNU SASL. intake's login.h drives an exchange;
//           the command line makes the keys.
// Contract  The server never sees a password, and keeps none. An unknown login goes through the
//           same steps, with the same work, on keys that are made up for it: the same ones every
//           time, on every node that has the same secret (RFC 5802 section 5.1).
//           A client that would have bound itself to the channel, but was told that it cannot, is
//           refused: somebody in between changed the offer.
// Owner     One exchange, one conversation. Steps cost microseconds: no thread is needed.
// Errors    make_scram_keys: invalid when the password cannot be prepared (RFC 4013).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "daemon/auth/scram_keys.h"
#include "proto/types/result.h"

namespace posthorse::auth {

// Costs what a client's login costs. `salt` in octets.
Result<ScramKeys> make_scram_keys(const std::string& password, std::string_view salt);
// Of a login that is unknown, or has none.
ScramKeys made_up_keys(const std::string& secret, std::string_view login);

// What both ends of a TLS connection know of it, and nobody between them; empty: not known.
struct ChannelBindings {
    std::string tls_exporter;  // RFC 9266
    std::string tls_unique;    // RFC 5929: TLS 1.2
    bool any() const { return !tls_exporter.empty() || !tls_unique.empty(); }
};

struct ScramChallenge {
    std::string octets;
};
struct ScramVerdict {
    std::string login;  // as the client wrote it; empty: it named none
    bool accepted = false;
};
using ScramStep = std::variant<ScramChallenge, ScramVerdict>;

enum class ScramKind : std::uint8_t { plain, plus };

class ScramExchange {
public:
    using KeysOf = std::function<ScramKeys(const std::string& login)>;

    // `bindings` is what the server could bind to, whether this mechanism does or not.
    ScramExchange(ScramKind kind, KeysOf keys_of, ChannelBindings bindings);
    ~ScramExchange();
    ScramExchange(ScramExchange&&) noexcept;
    ScramExchange& operator=(ScramExchange&&) noexcept;

    // The client's octets, from its first response on, until there is a verdict.
    ScramStep step(const std::string& octets);
    // Whom the proof that comes next is of; empty: none comes next.
    std::string awaited_login() const;

private:
    struct Session;
    std::unique_ptr<Session> session_;
};

}  // namespace posthorse::auth
