#include "daemon/admin/queue_summary.h"

#include <algorithm>

#include "daemon/admin/queue_filter.h"

namespace posthorse::admin {
namespace {

std::size_t bucket_of(Duration age) {
    const auto bound = std::ranges::find_if(age_bounds, [&](auto upper) { return age < upper; });
    return static_cast<std::size_t>(bound - age_bounds.begin());
}

// The domains of the pending recipients, one entry for each recipient, equal ones together.
std::vector<std::string> pending_domains(const Envelope& envelope) {
    std::vector<std::string> domains;
    for (const auto& recipient : envelope.recipients) {
        if (recipient.state == RecipientState::pending) {
            domains.push_back(domain_of(recipient.address));
        }
    }
    std::ranges::sort(domains);
    return domains;
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

void QueueSummary::add(const Envelope& envelope, WallTime now) {
    const auto domains = pending_domains(envelope);
    if (domains.empty()) return;
    const auto bucket = bucket_of(now - envelope.accepted_at);
    count(total_, bucket, domains.size());
    for (auto first = domains.begin(); first != domains.end();) {
        const auto last = std::upper_bound(first, domains.end(), *first);
        count(row_for(*first), bucket, static_cast<std::uint64_t>(last - first));
        first = last;
    }
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

}  // namespace posthorse::admin
