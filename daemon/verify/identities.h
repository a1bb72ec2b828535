// Whom a message claims to come from: the names that SPF and DMARC look at.
//
// Contract  Pure. Domains come back in lower case and as the DNS knows them (RFC 8616).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/verify/spf_check.h"
#include "proto/mail/header.h"

namespace posthorse::verify {

// What the session knew of a message before its first octet.
struct SessionFacts {
    std::string client;  // address
    std::string helo;
    std::string sender;  // MAIL FROM; empty is <>
};

// A null sender is judged by the name in HELO (RFC 7208 section 2.4). nullopt: the client's address
// is none.
std::optional<SpfFacts> spf_facts(const SessionFacts& session);

// The domain of the one author in From (RFC 7489 section 6.6.1).
struct Author {
    std::string domain;  // empty: see `fault`
    std::string fault;
};
Author author_of(const mail::Header& header);

// In lower case and A-labels; empty: no name that the DNS could know.
std::string dns_name(std::string_view domain);

}  // namespace posthorse::verify
