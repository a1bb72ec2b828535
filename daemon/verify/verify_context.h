// What every verification needs: made by verifier.h.
//
// Owner     verifier.h; outlives every verification.
#pragma once

#include <memory>
#include <string>

#include "daemon/runtime/reloadable.h"
#include "daemon/runtime/workers.h"
#include "daemon/sign/dkim_check.h"
#include "daemon/verify/public_suffixes.h"
#include "daemon/verify/verify_metrics.h"
#include "proto/types/time.h"

namespace posthorse::verify {

struct VerifyContext {
    std::string authserv_id;
    Duration dns_patience;     // from the end of the header on
    Duration worker_patience;  // for a signature's turn
    const Clock& clock;
    std::unique_ptr<sign::DkimVerifier> dkim;            // null: the library does not work
    runtime::Reloadable<const PublicSuffixes> suffixes;  // null: no list could be read yet
    VerifyMetrics metrics;
    runtime::Workers workers;  // last: joined first
};

}  // namespace posthorse::verify
