#include "storage/queue_summary.h"

#include <algorithm>

namespace posthorse::storage {
namespace {

std::size_t bucket_of(Duration age) {
    const auto bound = std::ranges::find_if(age_bounds, [&](auto upper) { return age < upper; });
    return static_cast<std::size_t>(bound - age_bounds.begin());
}

void count(SummaryRow& row, std::size_t bucket, std::uint64_t recipients) {
    row.messages += 1;
    row.recipients += recipients;
    row.by_age[bucket] += 1;
}

void count(SummaryRow& sum, const SummaryRow& row) {
    sum.messages += row.messages;
    sum.recipients += row.recipients;
    for (std::size_t age = 0; age < row.by_age.size(); ++age) sum.by_age[age] += row.by_age[age];
}

}  // namespace

std::string domain_of(std::string_view address) {
    const auto at = address.rfind('@');
    std::string domain(at == std::string_view::npos ? address : address.substr(at + 1));
    for (char& letter : domain)
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    return domain;
}

std::vector<PendingDomain> pending_domains(const Envelope& envelope) {
    std::vector<PendingDomain> domains;
    for (const auto& recipient : envelope.recipients) {
        if (recipient.state != RecipientState::pending) continue;
        auto name = domain_of(recipient.address);
        const auto at = std::ranges::lower_bound(domains, name, {}, &PendingDomain::name);
        if (at == domains.end() || at->name != name)
            domains.insert(at, {std::move(name), 1});
        else
            at->recipients += 1;
    }
    return domains;
}

void QueueSummary::add(const Envelope& envelope, WallTime now) {
    add(envelope.accepted_at, pending_domains(envelope), now);
}

void QueueSummary::add(WallTime accepted_at, std::span<const PendingDomain> domains, WallTime now) {
    if (domains.empty()) return;
    const auto bucket = bucket_of(now - accepted_at);
    std::uint64_t recipients = 0;
    for (const auto& domain : domains) {
        count(row_for(domain.name), bucket, domain.recipients);
        recipients += domain.recipients;
    }
    count(total_, bucket, recipients);
}

void QueueSummary::add_total(const SummaryRow& total) {
    count(total_, total);
}

void QueueSummary::add_row(const SummaryRow& row) {
    count(row_for(row.domain), row);
}

std::vector<SummaryRow> QueueSummary::largest(std::size_t limit) const {
    std::vector<const SummaryRow*> order;
    order.reserve(rows_.size());
    for (const auto& [domain, row] : rows_) order.push_back(&row);
    const auto middle = order.begin() + static_cast<std::ptrdiff_t>(std::min(limit, order.size()));
    std::partial_sort(order.begin(), middle, order.end(), [](const auto* a, const auto* b) {
        return a->messages != b->messages ? a->messages > b->messages : a->domain < b->domain;
    });
    std::vector<SummaryRow> rows;
    for (auto row = order.begin(); row != middle; ++row) rows.push_back(**row);
    return rows;
}

SummaryRow& QueueSummary::row_for(const std::string& domain) {
    const bool room = rows_.size() < limit_;
    const std::string& key = room || rows_.contains(domain) ? domain : other_domains;
    auto& row = rows_[key];
    row.domain = key;
    return row;
}

}  // namespace posthorse::storage
