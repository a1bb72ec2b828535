#include "daemon/verify/identities.h"

#include <algorithm>
#include <set>

#include "daemon/config/table.h"
#include "daemon/config/validate.h"
#include "daemon/runtime/idn.h"
#include "proto/mail/address_list.h"

namespace posthorse::verify {

std::string dns_name(std::string_view domain) {
    auto name = config::lower(runtime::to_a_labels(domain).value_or(std::string()));
    if (name.ends_with('.')) name.pop_back();
    return name;
}

std::optional<SpfFacts> spf_facts(const SessionFacts& session) {
    const auto client = parse_ip_address(session.client);
    if (!client) return std::nullopt;
    SpfFacts facts{.client = *client,
                   .client_text = session.client,
                   .helo = dns_name(session.helo),
                   .local_part = "postmaster",
                   .domain = {}};
    const auto at = session.sender.rfind('@');
    if (session.sender.empty()) {
        facts.domain = facts.helo;
    } else if (at != std::string::npos) {
        facts.domain = dns_name(std::string_view(session.sender).substr(at + 1));
        if (at > 0) facts.local_part = session.sender.substr(0, at);
    }
    return facts;
}

Author author_of(const mail::Header& header) {
    const auto* from = header.find("From");
    if (from == nullptr) return {{}, "no From field"};
    if (header.count("From") > 1) return {{}, "several From fields"};
    std::set<std::string> domains;
    for (const auto& address : mail::addresses_of(from->value)) {
        domains.insert(dns_name(std::string_view(address).substr(address.rfind('@') + 1)));
    }
    if (domains.empty()) return {{}, "no address in From"};
    if (domains.size() > 1) return {{}, "authors of several domains in From"};
    if (!config::is_domain(*domains.begin())) return {{}, "no domain name in From"};
    return {*domains.begin(), {}};
}

}  // namespace posthorse::verify
