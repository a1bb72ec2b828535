#include "daemon/verify/findings.h"

namespace posthorse::verify {
namespace {

constexpr std::size_t signature_octets_shown = 8;  // RFC 6008 section 3

mail::AuthenticationResult result_of(const sign::DkimVerdict& verdict) {
    return {"dkim",
            std::string(to_string(verdict.result)),
            verdict.reason,
            {{"header", "d", verdict.domain},
             {"header", "s", verdict.selector},
             {"header", "a", verdict.algorithm},
             {"header", "b", verdict.signature.substr(0, signature_octets_shown)}}};
}

mail::AuthenticationResult result_of(const SpfVerdict& verdict, const SessionFacts& session) {
    const bool null_sender = session.sender.empty();
    return {
        "spf",
        std::string(to_string(verdict.result)),
        verdict.reason,
        {{"smtp", null_sender ? "helo" : "mailfrom", null_sender ? session.helo : session.sender}}};
}

mail::AuthenticationResult result_of(const DmarcVerdict& verdict) {
    mail::AuthenticationResult result{"dmarc",
                                      std::string(to_string(verdict.result)),
                                      verdict.reason,
                                      {{"header", "from", verdict.from_domain}}};
    if (verdict.policy)
        result.properties.push_back({"policy", "dmarc", std::string(to_string(*verdict.policy))});
    return result;
}

}  // namespace

Authenticated authenticated_by(const SpfFacts& facts,
                               const SpfVerdict& spf,
                               const std::vector<sign::DkimVerdict>& dkim) {
    Authenticated by;
    if (spf.result == SpfResult::pass) by.spf_domain = facts.domain;
    by.temporary_trouble = spf.result == SpfResult::temperror;
    for (const auto& verdict : dkim) {
        if (verdict.result == sign::DkimResult::pass)
            by.dkim_domains.push_back(dns_name(verdict.domain));
        if (verdict.result == sign::DkimResult::temperror) by.temporary_trouble = true;
    }
    return by;
}

std::vector<mail::AuthenticationResult> to_results(const Findings& findings) {
    std::vector<mail::AuthenticationResult> results;
    for (const auto& verdict : findings.dkim) results.push_back(result_of(verdict));
    if (findings.dkim.empty()) results.push_back({"dkim", "none", {}, {}});
    results.push_back(result_of(findings.spf, findings.session));
    results.push_back(result_of(findings.dmarc));
    return results;
}

std::string dkim_words(const std::vector<sign::DkimVerdict>& dkim) {
    if (dkim.empty()) return "none";
    std::string words;
    for (const auto& verdict : dkim) {
        if (!words.empty()) words += ',';
        words += to_string(verdict.result);
    }
    return words;
}

}  // namespace posthorse::verify
