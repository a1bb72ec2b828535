#include "daemon/report/delivery_log.h"

#include <algorithm>
#include <array>

#include "daemon/report/settle_decision.h"
#include "proto/types/reply.h"
#include "proto/types/utf8.h"

namespace posthorse::report {
namespace {

constexpr std::size_t reply_bytes_max = 300;

// RFC 3463: the class follows from what became of the recipient.
EnhancedCode status_of(const RecipientOutcome& outcome) {
    constexpr std::array classes{2, 4, 5};  // delivered, deferred, failed
    const int klass = classes.at(static_cast<std::size_t>(outcome.kind));
    const auto& reply = outcome.status.reply;
    if (is_expired(outcome)) return {5, 4, 7};
    if (reply.enhanced.klass == klass) return reply.enhanced;
    return {klass, 0, 0};
}

// sendmail's words for what failed for good.
std::string_view failure_of(const EnhancedCode& status) {
    if (status == EnhancedCode{5, 4, 7}) return "Expired";
    if (status.subject == 1 && status.detail == 1) return "User unknown";
    if (status.subject == 1 && status.detail == 2) return "Host unknown";
    if (status.subject == 6) return "Data format error";
    return "Service unavailable";
}

// A quoted local part may hold anything: here it must not hold what separates fields.
std::string plain_address(std::string_view address) {
    std::string safe = sanitise_utf8(address);
    std::replace_if(
        safe.begin(), safe.end(),
        [](char c) { return c == ' ' || c == ',' || c == '<' || c == '>'; }, '?');
    return safe;
}

// The words of a server must not pass for our fields.
std::string plain_reply(const Reply& reply) {
    std::string text = reply.to_line().substr(0, reply_bytes_max);
    for (const std::string_view field : {"stat", "dsn", "to", "relay"}) {
        for (auto at = text.find(field); at != std::string::npos; at = text.find(field, at + 1)) {
            const auto end = at + field.size();
            if (end < text.size() && text[end] == '=') text[end] = ':';
        }
    }
    return text;
}

// "Sent (...)", "Deferred: ...", and for failures "User unknown (...)", "Host unknown (...)", "Data
// format error (...)", "Expired (...)", "Service unavailable (...)".
std::string stat_of(const RecipientOutcome& outcome, const EnhancedCode& status) {
    const auto reply = plain_reply(outcome.status.reply);
    const auto with = [&](std::string_view word) {
        return std::string(word) + (reply.empty() ? "" : " (" + reply + ')');
    };
    switch (outcome.kind) {
        case OutcomeKind::delivered:
            return with("Sent");
        case OutcomeKind::deferred:
            return "Deferred: " + (reply.empty() ? "no reply" : reply);
        case OutcomeKind::failed:
            break;
    }
    return with(failure_of(status));
}

// Seconds with two decimals; never below zero, whatever the clock did.
std::string seconds(Duration delay) {
    const auto hundredths = std::max<Duration::rep>(delay.count() / 10, 0);
    const auto rest = std::to_string(hundredths % 100);
    return std::to_string(hundredths / 100) + '.' + (rest.size() == 1 ? "0" : "") + rest;
}

std::string one_word(std::string_view text, std::string_view when_empty) {
    if (text.empty()) return std::string(when_empty);
    auto word = sanitise(text);
    std::replace(word.begin(), word.end(), ' ', '/');
    std::replace(word.begin(), word.end(), ',', '?');
    return word;
}

}  // namespace

std::string delivery_line(const Envelope& envelope,
                          const RecipientOutcome& outcome,
                          Addresses addresses) {
    const auto& recipient = envelope.recipients.at(outcome.recipient);
    const auto status = status_of(outcome);
    auto to = plain_address(recipient.address);
    auto stat = stat_of(outcome, status);
    if (addresses == Addresses::masked) {
        to = '*' + to.substr(std::min(to.rfind('@'), to.size()));
        stat = mask_addresses(stat);
    }
    return envelope.id.to_string() + ": to=<" + to +
           ">, relay=" + one_word(outcome.status.remote, "none") +
           ", delay=" + seconds(outcome.status.at - envelope.accepted_at) +
           ", attempts=" + std::to_string(recipient.attempts + 1) +
           ", tls=" + one_word(outcome.status.tls, "none") + ", dsn=" + status.to_string() +
           ", stat=" + stat;
}

}  // namespace posthorse::report
