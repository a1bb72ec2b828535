#include "proto/mail/dsn.h"

#include <algorithm>

#include "proto/mail/date.h"
#include "proto/mail/header.h"
#include "proto/types/reply.h"
#include "proto/types/utf8.h"

namespace posthorse::mail {

namespace {

// RFC 5322 section 2.1.1, without the CR LF.
constexpr std::size_t line_bytes_max = 998;

class Text {
public:
    explicit Text(DsnCharset charset) : charset_(charset) {}

    Text& line(std::string_view content = {}) {
        bytes_.append(content.substr(0, line_bytes_max)).append("\r\n");
        return *this;
    }
    Text& field(std::string_view name, std::string_view value) {
        return line(std::string(name) + ": " + safe(value));
    }
    std::string safe(std::string_view text, std::size_t bytes_max = 512) const {
        return charset_ == DsnCharset::utf8 ? sanitise_utf8(text, bytes_max)
                                            : sanitise(text, bytes_max);
    }
    std::string take() { return std::move(bytes_); }

private:
    DsnCharset charset_;
    std::string bytes_;
};

// What differs between the kinds of notices.
struct Words {
    int status_class;
    std::string_view action;
    std::string_view subject;
};

Words words_of(DsnKind kind, bool deadline = false) {
    switch (kind) {
        case DsnKind::failed:
            return {5, "failed", "Undelivered mail returned to sender"};
        case DsnKind::delayed:
            return {4, "delayed", "Delayed mail: still being tried"};
        case DsnKind::relayed:
            return {2, "relayed",
                    deadline ? "Mail handed on" : "Mail handed on: no further notice will come"};
        case DsnKind::delivered:
            break;
    }
    return {2, "delivered", "Mail delivered"};
}

// RFC 3464 section 2.3.4. The class must fit the action: a recipient that was given up after
// transient refusals failed because its time was over (RFC 3463, X.4.7).
std::string status_of(DsnKind kind, const Reply& reply) {
    const int klass = words_of(kind).status_class;
    if (reply.enhanced.klass == klass) return reply.enhanced.to_string();
    if (reply.code / 100 == klass) return EnhancedCode{klass, 0, 0}.to_string();
    return EnhancedCode{klass, 4, 7}.to_string();
}

// A delay that its sender hears of because it named the time (RFC 2852 section 4.1.3).
bool is_late(const DsnFacts& facts) {
    return facts.kind == DsnKind::delayed && facts.deliver_by && facts.now >= *facts.deliver_by;
}

std::string reason_of(const Reply& reply) {
    const auto line = reply.to_line();
    return line.empty() ? "no attempt was made" : line;
}

// "mx1.example.net" of "mx1.example.net[192.0.2.1]:25".
std::string host_of(std::string_view remote) {
    const auto bracket = remote.find('[');
    const auto end = bracket == 0 ? remote.find(']') + 1 : std::min(bracket, remote.find(':'));
    return std::string(remote.substr(0, end));
}

// The original header as a quotation. A line that could pass for a boundary is left out.
std::string quoted_header(const DsnFacts& facts) {
    Text text(facts.charset);
    const auto header = parse_header(facts.original_header.substr(0, facts.header_bytes_max));
    for (const auto& field : header.fields) {
        if (field.raw.starts_with("--")) continue;
        for (auto rest = field.raw; !rest.empty();) {
            const auto end = std::min(rest.find('\n'), rest.size() - 1) + 1;
            auto content = rest.substr(0, end);
            while (content.ends_with('\n') || content.ends_with('\r')) content.remove_suffix(1);
            text.line(text.safe(content, line_bytes_max));
            rest.remove_prefix(end);
        }
    }
    return text.take();
}

void explain(const DsnFacts& facts, Text& text) {
    switch (facts.kind) {
        case DsnKind::failed:
            text.line(
                    "Your message could not be delivered to the recipients below. It is not tried "
                    "again.")
                .line("The reason is what their mail server, or this one, said.");
            return;
        case DsnKind::delayed:
            text.line("Your message could not be delivered yet to the recipients below.")
                .line("You need not send it again: it is tried until " +
                      format_date(facts.retry_until) + '.');
            return;
        case DsnKind::relayed:
            if (facts.deliver_by) {
                text.line("Your message was handed on for the recipients below, to another mail")
                    .line("server. You may hear again of its delivery, of a delay, or of its end.");
                return;
            }
            text.line("Your message was handed on for the recipients below, to a mail server that")
                .line("does not tell when it delivers. You will hear again only if it fails.");
            return;
        case DsnKind::delivered:
            text.line("Your message was delivered to the mailboxes of the recipients below.");
            return;
    }
}

std::string explanation(const DsnFacts& facts) {
    Text text(facts.charset);
    text.line("This is the mail system at " + sanitise(facts.host_name) + '.').line();
    explain(facts, text);
    for (const auto& recipient : facts.recipients) {
        text.line().line('<' + text.safe(recipient.address) + '>');
        text.line("    " + reason_of(recipient.last.reply));
        if (!recipient.last.remote.empty())
            text.line("    asked: " + sanitise(recipient.last.remote));
    }
    return text.take();
}

std::string message_fields(const DsnFacts& facts) {
    Text text(facts.charset);
    if (!facts.envelope_id.empty()) text.field("Original-Envelope-Id", facts.envelope_id);
    text.field("Reporting-MTA", "dns; " + facts.host_name)
        .field("X-Posthorse-Queue-ID", facts.queue_id)
        .field("Arrival-Date", format_date(facts.arrived));
    if (facts.deliver_by) text.field("Deliver-By-Date", format_date(*facts.deliver_by));
    if (!facts.release.empty()) text.field("Future-Release-Request", facts.release);
    return text.take();
}

std::string recipient_fields(const DsnFacts& facts, const DsnRecipient& recipient) {
    const auto& last = recipient.last;
    Text text(facts.charset);
    text.line();
    if (!recipient.original_recipient.empty()) {
        text.field("Original-Recipient", recipient.original_recipient);
    }
    const auto* type = is_ascii(recipient.address) ? "rfc822; " : "utf-8; ";
    text.field("Final-Recipient", type + recipient.address)
        .field("Action", words_of(facts.kind).action)
        .field("Status", is_late(facts) ? "4.4.7" : status_of(facts.kind, last.reply));
    const bool socket = last.remote.starts_with('/');  // of this machine: no name to tell
    if (!last.remote.empty() && !socket) text.field("Remote-MTA", "dns; " + host_of(last.remote));
    const auto* source = last.reply.code == 0 ? "x-posthorse; " : "smtp; ";
    text.field("Diagnostic-Code", source + reason_of(last.reply));
    if (last.at != WallTime{}) text.field("Last-Attempt-Date", format_date(last.at));
    if (facts.kind == DsnKind::delayed)
        text.field("Will-Retry-Until", format_date(facts.retry_until));
    return text.take();
}

std::string top_header(const DsnFacts& facts,
                       std::string_view report_type,
                       std::string_view boundary) {
    Text text(facts.charset);
    text.field("From", "Mail Delivery System <MAILER-DAEMON@" + facts.host_name + '>')
        .field("To", '<' + facts.sender + '>')
        .field("Subject", words_of(facts.kind, facts.deliver_by.has_value()).subject)
        .field("Date", format_date(facts.now))
        .field("Message-ID", '<' + facts.unique + '@' + facts.host_name + '>')
        .field("Auto-Submitted", "auto-replied")  // RFC 3834 section 5: nobody answers this
        .field("MIME-Version", "1.0")
        .line("Content-Type: multipart/report; report-type=" + std::string(report_type) + ';')
        .line("\tboundary=\"" + std::string(boundary) + '"');
    return text.take();
}

struct Part {
    std::string_view type;
    std::string content;
};

std::string boundary_line(std::string_view boundary) {
    return "--" + std::string(boundary);
}

std::string written(std::string_view boundary, const Part& part) {
    std::string text = boundary_line(boundary) + "\r\nContent-Type: ";
    text.append(part.type).append("\r\n");
    if (!is_ascii(part.content)) text += "Content-Transfer-Encoding: 8bit\r\n";
    return text.append("\r\n").append(part.content).append("\r\n");
}

// The forms for UTF-8 are for what holds some: of programs that read notices, many know only the
// older ones.
Part status_part(const DsnFacts& facts) {
    auto content = message_fields(facts);
    for (const auto& recipient : facts.recipients) content += recipient_fields(facts, recipient);
    return {is_ascii(content) ? "message/delivery-status" : "message/global-delivery-status",
            std::move(content)};
}

// The message itself, or its header.
Part original_part(const DsnFacts& facts, std::string_view boundary) {
    const auto& whole = facts.original_message;
    // One that could end the part before its time is not quoted.
    if (!whole.empty() && whole.find(boundary_line(boundary)) == std::string_view::npos) {
        const bool utf8 = facts.charset == DsnCharset::utf8 && !is_ascii(whole);
        return {utf8 ? "message/global" : "message/rfc822", std::string(whole)};
    }
    auto header = quoted_header(facts);
    return {is_ascii(header) ? "text/rfc822-headers; charset=us-ascii" : "message/global-headers",
            std::move(header)};
}

}  // namespace

std::string make_dsn(const DsnFacts& facts) {
    const auto boundary = sanitise(facts.unique, 40) + "=_report";  // '=_' is in no base64 text
    const bool utf8 = facts.charset == DsnCharset::utf8;
    const Part words{utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii",
                     explanation(facts)};
    const auto status = status_part(facts);
    const auto report_type = status.type.substr(status.type.find('/') + 1);  // RFC 6522 section 3
    const auto parts = written(boundary, words) + written(boundary, status) +
                       written(boundary, original_part(facts, boundary)) + boundary_line(boundary) +
                       "--\r\n";
    const auto* encoding = is_ascii(parts) ? "" : "Content-Transfer-Encoding: 8bit\r\n";
    return top_header(facts, report_type, boundary) + encoding + "\r\n" + parts;
}

}  // namespace posthorse::mail
