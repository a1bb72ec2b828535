#include "proto/smtp/server_profile.h"

#include "proto/types/date_time.h"

namespace posthorse::smtp {

std::string ehlo_text(const ServerProfile& profile, const SessionFacts& facts) {
    std::string text = profile.host_name + "\nPIPELINING\nSIZE";
    if (const auto most = profile.limits.message_bytes_max; most != 0)
        text += ' ' + std::to_string(most);
    text += "\n8BITMIME\nSMTPUTF8\nDSN\nCHUNKING\nLIMITS RCPTMAX=";
    text += std::to_string(profile.limits.recipients_max);
    text += "\nDELIVERBY";
    if (const auto least = profile.deliver_by_min.count(); least > 0)
        text += ' ' + std::to_string(least);
    text += "\nMT-PRIORITY";
    if (facts.tls) text += "\nREQUIRETLS";  // RFC 8689 section 4.1
    if (const auto& release = profile.release) {
        text += "\nFUTURERELEASE " + std::to_string(release->after_max.count()) + ' ' +
                format_date_time(release->at_max);
    }
    if (profile.starttls && !facts.tls) text += "\nSTARTTLS";
    if (auth_offered(profile, facts) && !profile.mechanisms.empty()) {
        text += "\nAUTH";
        for (const auto& mechanism : profile.mechanisms) text += ' ' + mechanism;
    }
    return text + "\nENHANCEDSTATUSCODES";
}

bool auth_offered(const ServerProfile& profile, const SessionFacts& facts) {
    if (profile.require_tls && !facts.tls) return false;
    return profile.auth && (facts.tls || profile.auth_in_clear);
}

MailOffer mail_offer(const ServerProfile& profile, const SessionFacts& facts) {
    return {.channel = facts.tls ? Channel::tls : Channel::clear,
            .release = profile.release,
            .deliver_by_min = profile.deliver_by_min,
            .priority_max = profile.priority_max};
}

}  // namespace posthorse::smtp
