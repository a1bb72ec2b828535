// Which domains belong to one organization, by Mozilla's list of public suffixes (RFC 7489 section
// 3.2).
//
// Place     With its source the only file that names libpsl. Read at start and at each reload.
// Contract  Immutable; any thread. Rules with wildcards and exceptions count; a name that no rule
//           knows ends in a public suffix of one label.
#pragma once

#include <memory>
#include <string>

#include "proto/types/result.h"

struct psl_ctx_st;  // libpsl's

namespace posthorse::verify {

class PublicSuffixes {
public:
    // Empty: the newest of the system's list and of the one inside libpsl.
    static Result<std::shared_ptr<const PublicSuffixes>> load(const std::string& file);
    ~PublicSuffixes();
    PublicSuffixes(const PublicSuffixes&) = delete;
    PublicSuffixes& operator=(const PublicSuffixes&) = delete;

    // "example.co.uk" of "mail.example.co.uk"; a public suffix is its own. `domain` is in lower
    // case and A-labels.
    std::string organization_of(const std::string& domain) const;

private:
    explicit PublicSuffixes(psl_ctx_st* list) : list_(list) {}
    psl_ctx_st* list_;
};

}  // namespace posthorse::verify
