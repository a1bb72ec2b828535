#include "daemon/intake/recipient_map.h"

#include <charconv>

#include "daemon/config/table.h"
#include "daemon/config/validate.h"

namespace posthorse::intake {
namespace {

using config::lower;
using config::trim;

constexpr std::string_view tag = "to:";

// Digits with dots: "5.1.1".
std::optional<EnhancedCode> enhanced_of(std::string_view text) {
    EnhancedCode code;
    const auto* at = text.data();
    const auto* end = text.data() + text.size();
    for (auto* part : {&code.klass, &code.subject, &code.detail}) {
        const auto [stop, error] = std::from_chars(at, end, *part);
        if (error != std::errc{} || *part > 999 || *part < 0) return std::nullopt;
        const bool last = part == &code.detail;
        if (last ? stop != end : stop == end || *stop != '.') return std::nullopt;
        at = stop + 1;
    }
    const bool known = code.klass == 4 || code.klass == 5;
    return known ? std::optional(code) : std::nullopt;
}

std::string_view take_word(std::string_view& text) {
    const auto end = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, end);
    text = trim(text.substr(end));
    return word;
}

// "550 5.1.1 text", "450 text".
std::optional<Reply> reply_of(std::string_view text) {
    Reply reply;
    const auto digits = take_word(text);
    const auto* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, reply.code);
    if (digits.size() != 3 || error != std::errc{} || stop != end) return std::nullopt;
    if (!reply.transient() && !reply.permanent()) return std::nullopt;
    auto rest = text;
    if (const auto enhanced = enhanced_of(take_word(rest))) {
        reply.enhanced = *enhanced;
        text = rest;
    } else {
        reply.enhanced = {reply.code / 100, 1, 1};
    }
    if (reply.enhanced.klass != reply.code / 100) return std::nullopt;
    reply.text = text.empty() ? "recipient refused" : sanitise(text);
    return reply;
}

// sendmail's ERROR:D.S.N:text and ERROR:text, with or without quotes.
std::optional<Reply> error_of(std::string_view text) {
    std::optional<EnhancedCode> enhanced;
    if (const auto colon = text.find(':'); colon != std::string_view::npos) {
        enhanced = enhanced_of(text.substr(0, colon));
        if (enhanced) text.remove_prefix(colon + 1);
    }
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
        text = text.substr(1, text.size() - 2);
    auto reply = reply_of(trim(text));
    if (reply && enhanced) {
        if (enhanced->klass != reply->code / 100) return std::nullopt;
        reply->enhanced = *enhanced;
    }
    return reply;
}

std::optional<Reply> action_of(std::string_view text) {
    const auto word = lower(text);
    if (word == "relay" || word == "ok") return Reply{250, {2, 1, 5}, "recipient ok"};
    if (word == "reject") return Reply{550, {5, 1, 1}, "no such recipient here"};
    if (word.starts_with("error:")) return error_of(text.substr(6));
    return reply_of(text);
}

// `user@domain`, `domain` or `user@`.
bool is_key(std::string_view key) {
    const auto at = key.rfind('@');
    const auto domain = at == std::string_view::npos ? key : key.substr(at + 1);
    if (at == 0 || key.empty()) return false;
    return domain.empty() || config::is_domain(domain);
}

}  // namespace

RecipientMap RecipientMap::parse(std::string_view text,
                                 const std::string& file,
                                 Problems& problems) {
    RecipientMap map;
    config::for_each_row(text, file, problems, [&](const config::Row& row) {
        const auto skip = [&](const std::string& why) {
            problems.push_back({file, row.line, why + "; the row is skipped", false});
        };
        auto key = lower(row.key);
        if (!key.starts_with(tag))
            return skip("'" + sanitise(row.key) + "' does not begin with To:, the only kind here");
        key.erase(0, tag.size());
        if (!is_key(key))
            return skip("'" + sanitise(row.key) +
                        "' is no recipient; write To:user@domain, To:domain or To:user@");
        auto action = action_of(row.value);
        if (!action)
            return skip("'" + sanitise(row.value) +
                        "' is no action; write RELAY, REJECT or a reply such as 550 5.1.1 text");
        if (!map.rows_.emplace(std::move(key), *std::move(action)).second)
            skip("'" + sanitise(row.key) + "' stands twice and the first row counts");
    });
    return map;
}

std::optional<RecipientMap> RecipientMap::load(const std::string& file, Problems& problems) {
    const auto text = config::read_table(file, "intake.recipient_map", problems);
    if (!text) return std::nullopt;
    return parse(*text, file, problems);
}

const Reply* RecipientMap::find(const std::string& key) const {
    const auto found = rows_.find(key);
    return found == rows_.end() ? nullptr : &found->second;
}

std::optional<Reply> RecipientMap::judge(std::string_view address) const {
    const auto key = lower(address);
    if (const auto* reply = find(key)) return *reply;
    const auto at = key.rfind('@');
    auto domain = at == std::string::npos ? std::string{} : key.substr(at + 1);
    while (!domain.empty()) {
        if (const auto* reply = find(domain)) return *reply;
        const auto dot = domain.find('.');
        domain.erase(0, dot == std::string::npos ? domain.size() : dot + 1);
    }
    if (const auto* reply = find(key.substr(0, std::min(at, key.size())) + '@')) return *reply;
    return std::nullopt;
}

}  // namespace posthorse::intake
