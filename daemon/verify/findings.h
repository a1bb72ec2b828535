// What was found out about one message, and how it is told: to readers of its header, to the log.
//
// Contract  Pure.
#pragma once

#include <string>
#include <vector>

#include "daemon/sign/dkim_check.h"
#include "daemon/verify/dmarc.h"
#include "daemon/verify/identities.h"
#include "daemon/verify/spf_check.h"
#include "proto/mail/authentication_results.h"

namespace posthorse::verify {

struct Findings {
    SessionFacts session;
    SpfVerdict spf;
    std::vector<sign::DkimVerdict> dkim;  // empty: no signature
    DmarcVerdict dmarc;
};

// What of SPF and DKIM counts for DMARC.
Authenticated authenticated_by(const SpfFacts& facts,
                               const SpfVerdict& spf,
                               const std::vector<sign::DkimVerdict>& dkim);

// In this order: dkim, one for each signature, or none; spf; dmarc.
std::vector<mail::AuthenticationResult> to_results(const Findings& findings);

// "pass", or for several signatures "pass,fail".
std::string dkim_words(const std::vector<sign::DkimVerdict>& dkim);

}  // namespace posthorse::verify
