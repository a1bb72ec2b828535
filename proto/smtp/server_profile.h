// What a server offers to one client, and what it knows of it: EHLO's text, and what hangs on both.
//
// Place     Under server_session.h. A listener fixes the profile, a conversation makes the facts.
// Contract  Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "proto/smtp/parameters.h"
#include "proto/types/limits.h"

namespace posthorse::smtp {

struct ServerProfile {
    std::string host_name;       // in the greeting and EHLO
    bool starttls = false;       // a certificate is there and TLS is not on yet
    bool implicit_tls = false;   // TLS since before the greeting (RFC 8314)
    bool auth = false;           // offer AUTH, after TLS or when `auth_in_clear`
    bool auth_in_clear = false;  // the client's network is trusted
    bool require_auth = false;   // submission: no MAIL without AUTH (RFC 6409 section 4.3)
    bool require_tls = false;    // no MAIL and no AUTH without TLS
    // Submission alone (RFC 4865 section 4.2): messages are held for a later release.
    std::optional<ReleaseBounds> release{};
    std::chrono::seconds deliver_by_min{};  // the least of BY=...;R (RFC 2852); 0: any
    int priority_max = 0;                   // that MT-PRIORITY gets (RFC 6710); 0: of strangers
    std::vector<std::string> mechanisms{"PLAIN", "LOGIN"};  // of AUTH, as they are offered
    Limits limits;
};

struct SessionFacts {
    std::string helo;
    bool esmtp = false;
    bool tls = false;
    std::string login;  // empty: not authenticated
};

// Reply::text of EHLO's answer (RFC 5321 section 4.1.1.1).
std::string ehlo_text(const ServerProfile& profile, const SessionFacts& facts);

bool auth_offered(const ServerProfile& profile, const SessionFacts& facts);

// What the parameters of MAIL are judged by.
MailOffer mail_offer(const ServerProfile& profile, const SessionFacts& facts);

}  // namespace posthorse::smtp
