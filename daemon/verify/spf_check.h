// check_host() of SPF (RFC 7208 section 4), without any DNS.
//
// Place     Asked by verification.h, which looks up what it is told to and asks again.
// Contract  Pure. Given the answers so far it says either which question must be answered next, or
//           the result: the same facts and answers give the same step. So no thread waits for the
//           DNS inside, and every path can be tested with values.
//           The limits of section 4.6.4 hold for the whole check, whatever includes what.
// Errors    temperror and permerror are results; `reason` says in a few words why.
// Bounds    Ten terms that ask the DNS, two questions without an answer, ten hosts of a term: about
//           130 questions at worst.
#pragma once

#include <string>
#include <variant>

#include "daemon/verify/dns_question.h"
#include "daemon/verify/ip_address.h"
#include "daemon/verify/spf_record.h"

namespace posthorse::verify {

struct SpfFacts {
    IpAddress client;
    std::string client_text;  // the address as it is written
    std::string helo;
    std::string local_part;  // of the sender; "postmaster" when it has none
    std::string domain;      // of the sender, as the DNS knows it
};

struct SpfVerdict {
    SpfResult result = SpfResult::none;
    std::string reason;  // of an error
};

using SpfStep = std::variant<DnsQuestion, SpfVerdict>;

SpfStep check_spf(const SpfFacts& facts, const DnsAnswers& answers);

}  // namespace posthorse::verify
