#include "daemon/verify/dmarc.h"

#include <algorithm>
#include <map>

#include "daemon/config/table.h"

namespace posthorse::verify {
namespace {

using Tags = std::map<std::string, std::string, std::less<>>;

constexpr std::string_view version = "DMARC1";

// The value of the first tag when it is v=; empty: it is not.
std::string_view version_of(std::string_view text) {
    const auto first = config::trim(text.substr(0, text.find(';')));
    const auto equals = first.find('=');
    if (equals == std::string_view::npos || config::trim(first.substr(0, equals)) != "v") return {};
    return config::trim(first.substr(equals + 1));
}

// Of two tags with one name the first counts.
Tags parse_tags(std::string_view text) {
    Tags tags;
    while (!text.empty()) {
        const auto end = std::min(text.find(';'), text.size());
        const auto tag = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const auto equals = tag.find('=');
        if (equals == std::string_view::npos) continue;
        tags.emplace(config::lower(config::trim(tag.substr(0, equals))),
                     config::lower(config::trim(tag.substr(equals + 1))));
    }
    return tags;
}

std::string value_of(const Tags& tags, std::string_view name) {
    const auto found = tags.find(name);
    return found == tags.end() ? std::string() : found->second;
}

std::optional<DmarcPolicy> parse_policy(std::string_view text) {
    if (text == "none") return DmarcPolicy::none;
    if (text == "quarantine") return DmarcPolicy::quarantine;
    if (text == "reject") return DmarcPolicy::reject;
    return std::nullopt;
}

Alignment parse_alignment(std::string_view text) {
    return text == "s" ? Alignment::strict : Alignment::relaxed;
}

bool is_aligned(const std::string& from,
                const std::string& other,
                Alignment alignment,
                const OrganizationOf& organization_of) {
    if (alignment == Alignment::strict) return from == other;
    return organization_of(from) == organization_of(other);
}

}  // namespace

bool is_dmarc_record(std::string_view text) {
    return version_of(text) == version;
}

std::optional<DmarcRecord> parse_dmarc_record(std::string_view text) {
    const auto tags = parse_tags(text);
    DmarcRecord record;
    record.dkim = parse_alignment(value_of(tags, "adkim"));
    record.spf = parse_alignment(value_of(tags, "aspf"));
    const auto policy = parse_policy(value_of(tags, "p"));
    record.subdomain_policy = parse_policy(value_of(tags, "sp"));
    const bool valid = policy && (record.subdomain_policy || !tags.contains("sp"));
    if (valid) {
        record.policy = *policy;
        return record;
    }
    if (value_of(tags, "rua").find("mailto:") == std::string::npos) return std::nullopt;
    record.subdomain_policy.reset();
    return record;
}

std::string_view to_string(DmarcPolicy policy) {
    switch (policy) {
        case DmarcPolicy::none:
            return "none";
        case DmarcPolicy::quarantine:
            return "quarantine";
        case DmarcPolicy::reject:
            return "reject";
    }
    return "none";
}

std::string_view to_string(DmarcResult result) {
    switch (result) {
        case DmarcResult::none:
            return "none";
        case DmarcResult::pass:
            return "pass";
        case DmarcResult::fail:
            return "fail";
        case DmarcResult::temperror:
            return "temperror";
        case DmarcResult::permerror:
            return "permerror";
    }
    return "none";
}

DmarcStep find_dmarc_record(const std::string& from_domain,
                            const std::string& organization,
                            const DnsAnswers& answers) {
    for (const auto* domain : {&from_domain, &organization}) {
        DmarcPublished found;
        found.by_organization = *domain != from_domain;
        const DnsQuestion question{RecordKind::txt, "_dmarc." + *domain};
        const auto known = answers.find(question);
        if (known == answers.end()) return question;
        const auto& answer = known->second;
        if (answer.end == dns::LookupEnd::failed) {
            found.absence = DmarcResult::temperror;
            found.reason = "no answer for the record of " + *domain;
            return found;
        }
        std::vector<std::string_view> texts;
        std::ranges::copy_if(answer.records, std::back_inserter(texts), is_dmarc_record);
        if (texts.size() > 1) return found;
        if (texts.empty()) continue;
        found.record = parse_dmarc_record(texts.front());
        if (!found.record) {
            found.absence = DmarcResult::permerror;
            found.reason = "malformed record of " + *domain;
        }
        return found;
    }
    return DmarcPublished{};
}

DmarcVerdict judge_dmarc(const DmarcPublished& published,
                         const std::string& from_domain,
                         const Authenticated& authenticated,
                         const OrganizationOf& organization_of) {
    DmarcVerdict verdict{published.absence, published.reason, from_domain, std::nullopt};
    if (!published.record) return verdict;
    const auto& record = *published.record;
    const auto aligned = [&](const std::string& domain, Alignment alignment) {
        return is_aligned(from_domain, domain, alignment, organization_of);
    };
    const bool passes =
        (!authenticated.spf_domain.empty() && aligned(authenticated.spf_domain, record.spf)) ||
        std::ranges::any_of(authenticated.dkim_domains, [&](const std::string& domain) {
            return aligned(domain, record.dkim);
        });
    verdict.policy =
        published.by_organization ? record.subdomain_policy.value_or(record.policy) : record.policy;
    if (passes) {
        verdict.result = DmarcResult::pass;
    } else if (authenticated.temporary_trouble) {
        verdict.result = DmarcResult::temperror;
        verdict.reason = "SPF or DKIM could not be found out";
    } else {
        verdict.result = DmarcResult::fail;
    }
    return verdict;
}

}  // namespace posthorse::verify
