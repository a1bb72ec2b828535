#include "proto/mail/header_fix.h"

#include <algorithm>
#include <array>

#include "proto/mail/date.h"
#include "proto/types/utf8.h"

namespace posthorse::mail {

namespace {

constexpr std::array<std::string_view, 3> dropped{"Bcc", "Resent-Bcc", "Return-Path"};
constexpr std::array<std::string_view, 3> required{"Date", "From", "Message-ID"};

bool is_one_of(std::string_view name, const std::array<std::string_view, 3>& names) {
    return std::ranges::any_of(names,
                               [name](std::string_view n) { return equal_ignoring_case(n, name); });
}

bool is_kept(const Field& field) {
    if (is_one_of(field.name, dropped)) return false;
    // A required field without a value is replaced.
    return !is_one_of(field.name, required) || !unfold(field.value).empty();
}

std::string required_value(std::string_view name, const HeaderFixFacts& facts) {
    if (name == "Date") return format_date(facts.now);
    const std::string host(facts.host_name);
    if (name == "Message-ID") return '<' + std::string(facts.unique) + '@' + host + '>';
    return facts.sender.empty() ? "MAILER-DAEMON@" + host : sanitise_utf8(facts.sender);
}

}  // namespace

std::string fix_header(const Header& header, const HeaderFixFacts& facts) {
    std::string fixed;
    for (const auto& field : header.fields) {
        if (!is_kept(field)) continue;
        fixed += field.raw;
        if (!field.raw.ends_with('\n')) fixed += "\r\n";
    }
    const auto kept =
        parse_header(fixed, {.bytes_max = fixed.size(), .fields_max = header.fields.size()});
    std::string added;
    for (const auto name : required) {
        if (kept.find(name) != nullptr) continue;
        added.append(name).append(": ").append(required_value(name, facts)).append("\r\n");
    }
    return fixed + added;
}

}  // namespace posthorse::mail
