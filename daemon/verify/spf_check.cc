#include "daemon/verify/spf_check.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "daemon/config/table.h"
#include "daemon/verify/spf_macro.h"

namespace posthorse::verify {
namespace {

using dns::LookupEnd;
using Kind = SpfMechanism::Kind;

constexpr unsigned terms_max = 10;  // that ask the DNS
constexpr unsigned void_lookups_max = 2;
constexpr std::size_t hosts_max = 10;  // of an MX or PTR answer

enum class Match : std::uint8_t { no, yes, temperror, permerror };

// Section 4.3: a name of several labels that the DNS can be asked for; no address in brackets.
bool is_checkable(std::string_view domain) {
    if (domain.size() > 253 || domain.find('.') == std::string_view::npos) return false;
    if (domain.find_first_of("[]: ") != std::string_view::npos) return false;
    while (true) {
        const auto dot = std::min(domain.find('.'), domain.size());
        if (dot == 0 || dot > 63) return false;
        if (dot == domain.size()) return true;
        domain.remove_prefix(dot + 1);
    }
}

bool is_same_or_below(std::string_view name, std::string_view domain) {
    if (name.size() <= domain.size()) return name == domain;
    return name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.';
}

std::string without_final_dot(std::string name) {
    if (name.ends_with('.')) name.pop_back();
    return config::lower(name);
}

// One walk over the records, with the answers that are there. Once `missing_` is set, what the
// functions return means nothing, and each returns at once.
class Check {
public:
    Check(const SpfFacts& facts, const DnsAnswers& answers) : facts_(facts), answers_(answers) {}

    SpfStep run() {
        auto verdict = check_host(without_final_dot(facts_.domain));
        if (missing_) return std::move(*missing_);
        return verdict;
    }

private:
    SpfVerdict check_host(const std::string& domain) {
        if (!is_checkable(domain)) return {};
        const auto* answer = ask(RecordKind::txt, domain);
        if (answer == nullptr) return {};
        if (answer->end == LookupEnd::failed)
            return {SpfResult::temperror, "no answer for the record of " + domain};
        std::vector<std::string_view> texts;
        std::ranges::copy_if(answer->records, std::back_inserter(texts), is_spf_record);
        if (texts.empty()) return {};
        if (texts.size() > 1) return {SpfResult::permerror, "several records of " + domain};
        const auto record = parse_spf_record(texts.front());
        if (!record) return {SpfResult::permerror, "malformed record of " + domain};
        return evaluate(*record, domain);
    }

    SpfVerdict evaluate(const SpfRecord& record, const std::string& domain) {
        for (const auto& mechanism : record.mechanisms) {
            const auto match = matches(mechanism, domain);
            if (missing_) return {};
            if (match == Match::yes) return {mechanism.on_match, {}};
            if (match == Match::temperror) return {SpfResult::temperror, std::move(why_)};
            if (match == Match::permerror) return {SpfResult::permerror, std::move(why_)};
        }
        if (record.redirect.empty()) return {SpfResult::neutral, {}};
        return redirect(record.redirect, domain);
    }

    SpfVerdict redirect(const std::string& spec, const std::string& domain) {
        if (!count_term()) return {SpfResult::permerror, std::move(why_)};
        const auto target = target_of(spec, domain);
        if (missing_ || !target)
            return {SpfResult::permerror, "redirect to no domain of " + domain};
        auto verdict = check_host(*target);
        if (verdict.result == SpfResult::none)
            return {SpfResult::permerror, "redirect to no record: " + *target};
        return verdict;
    }

    Match matches(const SpfMechanism& mechanism, const std::string& domain) {
        switch (mechanism.kind) {
            case Kind::all:
                return Match::yes;
            case Kind::ip4:
                return is_within(mechanism.network, mechanism);
            case Kind::ip6:
                return is_within(mechanism.network, mechanism);
            default:
                break;
        }
        if (!count_term()) return Match::permerror;
        const auto target = target_of(mechanism.domain, domain);
        if (missing_ || !target) return Match::no;
        switch (mechanism.kind) {
            case Kind::include:
                return include(*target);
            case Kind::a:
                return host_matches(*target, mechanism);
            case Kind::mx:
                return mx_matches(*target, mechanism);
            case Kind::ptr:
                return ptr_matches(*target);
            default:
                return exists(*target);
        }
    }

    Match is_within(const IpAddress& network, const SpfMechanism& mechanism) const {
        const bool four = network.family == IpAddress::Family::v4;
        const auto bits = four ? mechanism.v4_bits : mechanism.v6_bits;
        return within(facts_.client, network, bits) ? Match::yes : Match::no;
    }

    // Section 5.2.
    Match include(const std::string& target) {
        auto inner = check_host(target);
        switch (inner.result) {
            case SpfResult::pass:
                return Match::yes;
            case SpfResult::temperror:
                why_ = std::move(inner.reason);
                return Match::temperror;
            case SpfResult::permerror:
                why_ = std::move(inner.reason);
                return Match::permerror;
            case SpfResult::none:
                why_ = "include of no record: " + target;
                return Match::permerror;
            default:
                return Match::no;
        }
    }

    // Section 5.3.
    Match host_matches(const std::string& host, const SpfMechanism& mechanism) {
        const auto* answer = ask_counted(address_kind(), host);
        if (const auto trouble = trouble_of(answer)) return *trouble;
        const bool matched = std::ranges::any_of(answer->records, [&](const std::string& text) {
            const auto address = parse_ip_address(text);
            return address && is_within(*address, mechanism) == Match::yes;
        });
        return matched ? Match::yes : Match::no;
    }

    // Section 5.4.
    Match mx_matches(const std::string& domain, const SpfMechanism& mechanism) {
        const auto* answer = ask_counted(RecordKind::mx, domain);
        if (const auto trouble = trouble_of(answer)) return *trouble;
        if (answer->records.size() > hosts_max) {
            why_ = "too many MX hosts of " + domain;
            return Match::permerror;
        }
        for (const auto& host : answer->records) {
            if (host.empty()) continue;  // a null MX
            const auto match = host_matches(host, mechanism);
            if (missing_ || match != Match::no) return match;
        }
        return Match::no;
    }

    // Section 5.5.
    Match ptr_matches(const std::string& domain) {
        const auto names = validated_names();
        const bool matched = std::ranges::any_of(
            names, [&](const std::string& name) { return is_same_or_below(name, domain); });
        return matched ? Match::yes : Match::no;
    }

    // The names that the client's address has and that have its address. Errors are no names.
    std::vector<std::string> validated_names() {
        std::vector<std::string> names;
        const auto* answer = ask(RecordKind::ptr, facts_.client_text);
        if (answer == nullptr) return names;
        const auto count = std::min(answer->records.size(), hosts_max);
        for (std::size_t i = 0; i < count; ++i) {
            const auto& name = answer->records[i];
            const auto* addresses = ask(address_kind(), name);
            if (addresses == nullptr) return names;
            const bool validated = std::ranges::any_of(
                addresses->records,
                [&](const std::string& text) { return parse_ip_address(text) == facts_.client; });
            if (validated) names.push_back(name);
        }
        return names;
    }

    // Section 5.7: of either family of clients, an A record.
    Match exists(const std::string& name) {
        const auto* answer = ask_counted(RecordKind::a, name);
        if (const auto trouble = trouble_of(answer)) return *trouble;
        return answer->records.empty() ? Match::no : Match::yes;
    }

    // nullopt: no domain name, or (missing_) an answer is missing.
    std::optional<std::string> target_of(const std::string& spec, const std::string& domain) {
        if (spec.empty()) return domain;
        SpfMacroFacts facts{.local_part = facts_.local_part,
                            .sender_domain = facts_.domain,
                            .domain = domain,
                            .helo = facts_.helo,
                            .validated_name = "unknown",
                            .client = facts_.client};
        if (names_validated_host(spec)) facts.validated_name = best_name(domain);
        if (missing_) return std::nullopt;
        return expand_domain(spec, facts);
    }

    // Section 7.3: the domain itself, else one below it, else any.
    std::string best_name(const std::string& domain) {
        const auto names = validated_names();
        if (names.empty()) return "unknown";
        if (std::ranges::find(names, domain) != names.end()) return domain;
        const auto below = std::ranges::find_if(
            names, [&](const std::string& name) { return is_same_or_below(name, domain); });
        return below == names.end() ? names.front() : *below;
    }

    RecordKind address_kind() const {
        return facts_.client.family == IpAddress::Family::v4 ? RecordKind::a : RecordKind::aaaa;
    }

    // nullptr: it is missing.
    const DnsAnswer* ask(RecordKind kind, const std::string& name) {
        if (missing_) return nullptr;
        DnsQuestion question{kind, name};
        const auto known = answers_.find(question);
        if (known != answers_.end()) return &known->second;
        missing_ = std::move(question);
        return nullptr;
    }

    // Section 4.6.4: questions without an answer are few.
    const DnsAnswer* ask_counted(RecordKind kind, const std::string& name) {
        const auto* answer = ask(kind, name);
        const bool is_void =
            answer != nullptr && answer->end != LookupEnd::failed && answer->records.empty();
        if (is_void) ++void_lookups_;
        return answer;
    }

    // What ends a mechanism before its records count.
    std::optional<Match> trouble_of(const DnsAnswer* answer) {
        if (answer == nullptr) return Match::no;  // missing_
        if (answer->end == LookupEnd::failed) {
            why_ = "no answer from the DNS";
            return Match::temperror;
        }
        if (void_lookups_ > void_lookups_max) {
            why_ = "too many void lookups";
            return Match::permerror;
        }
        return std::nullopt;
    }

    bool count_term() {
        if (++terms_ <= terms_max) return true;
        why_ = "too many DNS lookups";
        return false;
    }

    const SpfFacts& facts_;
    const DnsAnswers& answers_;
    std::optional<DnsQuestion> missing_;
    std::string why_;  // of the last trouble
    unsigned terms_ = 0;
    unsigned void_lookups_ = 0;
};

}  // namespace

SpfStep check_spf(const SpfFacts& facts, const DnsAnswers& answers) {
    return Check(facts, answers).run();
}

}  // namespace posthorse::verify
