// How long mail has been waiting, by destination domain: what Postfix's qshape shows.
//
// Place     The store counts from its due index (queue_reader.h); for what that does not tell, and
//           for an operator's filter, from envelopes (daemon/admin/parts/own_part.cc). The node
//           that was asked adds up the parts of all (daemon/admin/admin_calls.cc).
// Contract  Counts messages with pending recipients, by the age since they were accepted. A message
//           to several domains counts in each of their rows and once in the total.
// Bounds    Memory grows with the number of domains up to a limit; messages to any further one are
//           counted in the row `other_domains`.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proto/types/envelope.h"

namespace posthorse::storage {

// Upper ends of the age buckets; one more bucket takes what is older.
inline constexpr std::array<std::chrono::minutes, 10> age_bounds{
    std::chrono::minutes{5},   std::chrono::minutes{10},  std::chrono::minutes{20},
    std::chrono::minutes{40},  std::chrono::minutes{80},  std::chrono::minutes{160},
    std::chrono::minutes{320}, std::chrono::minutes{640}, std::chrono::minutes{1280},
    std::chrono::minutes{2560}};

// The part behind the last '@', in lower case; the whole when there is none ("postmaster").
std::string domain_of(std::string_view address);

struct PendingDomain {
    std::string name;  // as domain_of() gives it
    std::uint32_t recipients = 0;
    auto operator<=>(const PendingDomain&) const = default;
};

// The due index tells the domains of a message that waits for no more than so many.
inline constexpr std::size_t indexed_domains_max = 8;

// Of the recipients that wait, each domain once, by name.
std::vector<PendingDomain> pending_domains(const Envelope& envelope);

struct SummaryRow {
    std::string domain;  // empty: the total
    std::uint64_t messages = 0;
    std::uint64_t recipients = 0;  // pending
    std::array<std::uint64_t, age_bounds.size() + 1> by_age{};
    bool operator==(const SummaryRow&) const = default;
};

class QueueSummary {
public:
    static constexpr std::size_t domains_max = 20'000;
    // A domain name cannot have this form, so the row cannot be mistaken for a domain's.
    static constexpr const char* other_domains = "(others)";

    explicit QueueSummary(std::size_t limit = domains_max) : limit_(limit) {}

    void add(const Envelope& envelope, WallTime now);
    void add(WallTime accepted_at, std::span<const PendingDomain> domains, WallTime now);
    // What was counted elsewhere.
    void add_total(const SummaryRow& total);
    void add_row(const SummaryRow& row);

    const SummaryRow& total() const { return total_; }
    // The `limit` largest rows by messages, ties by name.
    std::vector<SummaryRow> largest(std::size_t limit) const;
    std::size_t domain_count() const { return rows_.size(); }
    // For one more message whose domains the index tells.
    bool has_room() const { return rows_.size() + indexed_domains_max <= limit_; }

private:
    SummaryRow& row_for(const std::string& domain);

    std::size_t limit_;
    SummaryRow total_;
    std::unordered_map<std::string, SummaryRow> rows_;
};

}  // namespace posthorse::storage
