#include "daemon/report/notice.h"

#include <algorithm>

#include "proto/smtp/original_recipient.h"
#include "proto/smtp/xtext.h"
#include "proto/types/assert.h"
#include "proto/types/date_time.h"
#include "proto/types/utf8.h"

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

// Each settlement raises the version, and holds at most one notice of each kind; but what goes on
// may be settled several times before its next claim, each time for other recipients.
std::string unique_name(mail::DsnKind kind, const Envelope& envelope, std::uint32_t recipient) {
    const auto name = envelope.id.to_string() + '.' + std::to_string(envelope.version);
    switch (kind) {
        case mail::DsnKind::failed:
            return name + ".failed";
        case mail::DsnKind::delayed:
            return name + ".delayed";
        case mail::DsnKind::delivered:
            return name + ".delivered." + std::to_string(recipient);
        case mail::DsnKind::relayed:
            break;
    }
    return name + ".relayed." + std::to_string(recipient);
}

// As Original-Recipient shows it.
std::string original_recipient(const std::string& parameter, mail::DsnCharset charset) {
    const auto decoded = smtp::parse_original_recipient(parameter);
    if (!decoded) return {};
    const bool shown = charset == mail::DsnCharset::utf8 || is_ascii(decoded->address);
    return shown ? decoded->type + ';' + decoded->address : smtp::as_ascii_parameter(parameter);
}

// As RFC 4865 section 5.1.2 has it.
std::string release_request(const FutureRelease& release) {
    if (!release.asked()) return {};
    if (release.at != WallTime{}) return "until;" + format_date_time(release.at);
    return "for;" + std::to_string(release.after.count());
}

// RFC 6533 section 4: UTF-8 goes only to who uses it.
mail::DsnCharset charset_for(const Envelope& envelope) {
    bool ascii = is_ascii(envelope.sender) && !envelope.utf8_header;
    for (const auto& one : envelope.recipients) ascii = ascii && is_ascii(one.address);
    return envelope.wishes.utf8 && !ascii ? mail::DsnCharset::utf8 : mail::DsnCharset::ascii;
}

bool returns_all(mail::DsnKind kind, const Envelope& envelope, std::string_view head) {
    const auto& wishes = envelope.wishes;
    return kind == mail::DsnKind::failed && wishes.ret == ReturnContent::full &&
           !wishes.require_tls && envelope.chunk_count == 0 && (is_ascii(head) || wishes.utf8);
}

}  // namespace

const std::vector<std::uint32_t>& owed_for(mail::DsnKind kind, const Decision& decision) {
    switch (kind) {
        case mail::DsnKind::failed:
            return decision.bounced;
        case mail::DsnKind::delayed:
            return decision.delayed;
        case mail::DsnKind::delivered:
            return decision.delivered;
        case mail::DsnKind::relayed:
            break;
    }
    return decision.relayed;
}

std::string notice_text(mail::DsnKind kind,
                        const Envelope& envelope,
                        const Decision& decision,
                        std::string_view original_head,
                        const NoticeSettings& settings,
                        WallTime now) {
    PH_ASSERT(!envelope.sender.empty());
    const auto& about = owed_for(kind, decision);
    PH_ASSERT(!about.empty());
    mail::DsnFacts facts;
    facts.kind = kind;
    facts.charset = charset_for(envelope);
    facts.host_name = settings.host_name;
    facts.sender = envelope.sender;
    facts.queue_id = envelope.id.to_string();
    facts.envelope_id = smtp::decode_xtext(envelope.wishes.envelope_id).value_or("");
    facts.unique = unique_name(kind, envelope, about.front());
    facts.now = now;
    facts.arrived = envelope.accepted_at;
    facts.release = release_request(envelope.wishes.release);
    if (envelope.wishes.deliver_by.asked()) facts.deliver_by = envelope.wishes.deliver_by.at;
    facts.retry_until = envelope.expires_at;
    facts.original_header = original_head;
    if (returns_all(kind, envelope, original_head)) facts.original_message = original_head;
    for (const auto index : about) {
        const auto& recipient = envelope.recipients[index];
        facts.recipients.push_back(
            {.address = recipient.address,
             .original_recipient = original_recipient(recipient.wishes.original, facts.charset),
             .last = last_status(envelope, decision, index)});
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
    // Only the address makes the notice itself one for SMTPUTF8: its header is ASCII otherwise.
    envelope.wishes.utf8 = envelope.utf8_header = !is_ascii(about.sender);
    envelope.wishes.require_tls = about.wishes.require_tls;
    envelope.wishes.priority = about.wishes.priority;  // RFC 6710 section 4.6
    envelope.body = is_ascii(text) ? BodyKind::seven_bit : BodyKind::eight_bit;
    notice.head = make_chunk(std::move(head));
    return notice;
}

std::string mailer_daemon(std::string_view host_name) {
    return "MAILER-DAEMON@" + std::string(host_name);
}

}  // namespace posthorse::report
