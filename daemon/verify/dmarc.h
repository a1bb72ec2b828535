// DMARC (RFC 7489), without any DNS: whether the domain that a reader sees in From vouches for the
// message, by a DKIM signature or by SPF.
//
// Place     Asked by verification.h at the end of a message.
// Contract  Pure. Domains are in lower case and as the DNS knows them (A-labels).
//           A record that names no valid policy counts as p=none when it asks for reports (section
//           6.6.3), else it is an error. pct= is not looked at: nothing is refused here.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/verify/dns_question.h"

namespace posthorse::verify {

enum class DmarcPolicy : std::uint8_t { none, quarantine, reject };
enum class Alignment : std::uint8_t { relaxed, strict };

struct DmarcRecord {
    DmarcPolicy policy = DmarcPolicy::none;
    std::optional<DmarcPolicy> subdomain_policy;
    Alignment dkim = Alignment::relaxed;
    Alignment spf = Alignment::relaxed;
};

// Whether the text of a TXT record claims to be one.
bool is_dmarc_record(std::string_view text);
// nullopt: a permanent error. `text` is one.
std::optional<DmarcRecord> parse_dmarc_record(std::string_view text);

std::string_view to_string(DmarcPolicy policy);

// The organizational domain of a domain (section 3.2).
using OrganizationOf = std::function<std::string(const std::string& domain)>;

// What passed, and what could not be found out yet.
struct Authenticated {
    std::vector<std::string> dkim_domains;  // d= of good signatures
    std::string spf_domain;                 // of a pass; empty: none
    bool temporary_trouble = false;
};

enum class DmarcResult : std::uint8_t { none, pass, fail, temperror, permerror };

struct DmarcVerdict {
    DmarcResult result = DmarcResult::none;
    std::string reason;                 // of an error
    std::string from_domain;            // empty: none could be read
    std::optional<DmarcPolicy> policy;  // that the domain publishes for such mail
};

std::string_view to_string(DmarcResult result);

// What the DNS holds for a domain in From (section 6.6.3).
struct DmarcPublished {
    // Without a record: none, temperror or permerror, and why.
    DmarcResult absence = DmarcResult::none;
    std::string reason;
    std::optional<DmarcRecord> record;
    bool by_organization = false;  // it stands at the organizational domain, not at the domain
};
using DmarcStep = std::variant<DnsQuestion, DmarcPublished>;

// Which question must be answered next, or what was found.
DmarcStep find_dmarc_record(const std::string& from_domain,
                            const std::string& organization,
                            const DnsAnswers& answers);

DmarcVerdict judge_dmarc(const DmarcPublished& published,
                         const std::string& from_domain,
                         const Authenticated& authenticated,
                         const OrganizationOf& organization_of);

}  // namespace posthorse::verify
