#include "daemon/report/notice.h"

#include <algorithm>

#include "proto/types/assert.h"

namespace posthorse::report {
namespace {

// What the last attempt at the recipient met: one that ended just now, or an earlier one.
DeliveryStatus last_status(const Envelope& envelope,
                           const Decision& decision,
                           std::uint32_t index) {
    const auto now =
        std::find_if(decision.outcomes.begin(), decision.outcomes.end(),
                     [&](const RecipientOutcome& one) { return one.recipient == index; });
    return now == decision.outcomes.end() ? envelope.recipients[index].last : now->status;
}

}  // namespace

std::string notice_text(mail::DsnKind kind,
                        const Envelope& envelope,
                        const Decision& decision,
                        std::string_view original_head,
                        const NoticeSettings& settings,
                        WallTime now) {
    PH_ASSERT(!envelope.sender.empty());
    const bool failed = kind == mail::DsnKind::failed;
    mail::DsnFacts facts;
    facts.kind = kind;
    facts.host_name = settings.host_name;
    facts.sender = envelope.sender;
    facts.queue_id = envelope.id.to_string();
    // Every settlement raises the version, and holds at most one notice of each kind.
    facts.unique =
        facts.queue_id + '.' + std::to_string(envelope.version) + (failed ? ".failed" : ".delayed");
    facts.now = now;
    facts.arrived = envelope.accepted_at;
    facts.retry_until = envelope.expires_at;
    facts.original_header = original_head;
    for (const auto index : failed ? decision.bounced : decision.delayed) {
        facts.recipients.push_back(
            {envelope.recipients[index].address, {}, last_status(envelope, decision, index)});
    }
    return mail::make_dsn(facts);
}

NewMessage make_notice(const Envelope& about,
                       std::string signature,
                       std::string_view text,
                       const NoticeSettings& settings,
                       WallTime now) {
    PH_ASSERT(!about.sender.empty());
    NewMessage notice;
    auto head = std::move(signature);
    head += text;
    auto& envelope = notice.envelope;
    envelope.recipients.push_back({.address = about.sender});
    envelope.origin.listener = "bounce";
    envelope.accepted_at = now;
    envelope.expires_at = now + settings.lifetime;
    envelope.warn_at = never;
    envelope.due_at = now;
    envelope.size_bytes = head.size();
    notice.head = make_chunk(std::move(head));
    return notice;
}

std::string mailer_daemon(std::string_view host_name) {
    return "MAILER-DAEMON@" + std::string(host_name);
}

}  // namespace posthorse::report
