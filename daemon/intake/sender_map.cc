#include "daemon/intake/sender_map.h"

#include <algorithm>
#include <array>

#include "daemon/config/table.h"
#include "proto/mail/address_list.h"
#include "proto/mail/header.h"
#include "proto/smtp/address.h"
#include "proto/types/reply.h"

namespace posthorse::intake {
namespace {

using config::lower;

constexpr std::array<std::string_view, 6> sender_fields{
    "From", "Sender", "Reply-To", "Resent-From", "Resent-Sender", "Resent-Reply-To"};

bool names_senders(std::string_view field) {
    return std::ranges::any_of(
        sender_fields, [&](std::string_view one) { return mail::equal_ignoring_case(one, field); });
}

bool is_below(std::string_view host, std::string_view domain) {
    return host.size() > domain.size() + 1 && host.ends_with(domain) &&
           host[host.size() - domain.size() - 1] == '.';
}

}  // namespace

SenderMap::SenderMap(std::string host_name, std::vector<std::string> masquerade_domains)
    : host_name_(lower(host_name)) {
    for (const auto& domain : masquerade_domains) masqueraded_.push_back(lower(domain));
}

void SenderMap::add_table(std::string_view text, const std::string& file, Problems& problems) {
    config::for_each_row(text, file, problems, [&](const config::Row& row) {
        const auto skip = [&](const std::string& why) {
            problems.push_back({file, row.line, why + "; the row is skipped", false});
        };
        std::string address(row.value);
        if (smtp::domain_of(address).empty()) address += '@' + host_name_;
        if (!smtp::is_mailbox(address, smtp::PathKind::reverse) || address.empty())
            return skip("'" + sanitise(row.value) + "' is no address");
        if (!rows_.emplace(lower(row.key), std::move(address)).second)
            skip("'" + sanitise(row.key) + "' stands twice and the first row counts");
    });
}

std::optional<SenderMap> SenderMap::load(const config::Config& config, Problems& problems) {
    SenderMap map(config.host_name, config.intake.masquerade_domains);
    if (config.intake.sender_map.empty()) return map;
    const auto text = config::read_table(config.intake.sender_map, "intake.sender_map", problems);
    if (!text) return std::nullopt;
    map.add_table(*text, config.intake.sender_map, problems);
    return map;
}

const std::string* SenderMap::find(const std::string& address) const {
    const auto key = lower(address);
    if (const auto row = rows_.find(key); row != rows_.end()) return &row->second;
    const auto at = key.rfind('@');
    if (at == std::string::npos || key.substr(at + 1) != host_name_) return nullptr;
    const auto row = rows_.find(key.substr(0, at));
    return row == rows_.end() ? nullptr : &row->second;
}

std::string SenderMap::address(const std::string& address) const {
    if (address.empty()) return address;
    if (const auto* other = find(address)) return *other;
    const auto host = lower(smtp::domain_of(address));
    for (std::string_view domain : masqueraded_) {
        const bool kept = domain.starts_with('!');
        if (kept) domain.remove_prefix(1);
        if (kept ? host == domain || is_below(host, domain) : host == domain) return address;
        if (!kept && is_below(host, domain))
            return address.substr(0, address.size() - host.size()) + std::string(domain);
    }
    return address;
}

std::string SenderMap::header(std::string_view section) const {
    std::string rewritten;
    for (const auto& field :
         mail::parse_header(section, {.bytes_max = section.size(), .fields_max = section.size()})
             .fields) {
        if (!names_senders(field.name)) {
            rewritten += field.raw;
            continue;
        }
        const auto value_at = static_cast<std::size_t>(field.value.data() - field.raw.data());
        rewritten += field.raw.substr(0, value_at);
        rewritten += mail::with_addresses(
            field.value, [this](const std::string& one) { return this->address(one); });
        rewritten += field.raw.substr(value_at + field.value.size());
    }
    return rewritten;
}

}  // namespace posthorse::intake
