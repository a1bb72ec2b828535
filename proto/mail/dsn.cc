#include "proto/mail/dsn.h"

#include <algorithm>

#include "proto/mail/date.h"
#include "proto/mail/header.h"
#include "proto/types/reply.h"

namespace posthorse::mail {

namespace {

// RFC 5322 section 2.1.1, without the CR LF.
constexpr std::size_t line_bytes_max = 998;

class Text {
public:
    Text& line(std::string_view content = {}) {
        bytes_.append(content.substr(0, line_bytes_max)).append("\r\n");
        return *this;
    }
    Text& field(std::string_view name, std::string_view value) {
        return line(std::string(name) + ": " + sanitise(value));
    }
    std::string take() { return std::move(bytes_); }

private:
    std::string bytes_;
};

bool is_failed(const DsnFacts& facts) {
    return facts.kind == DsnKind::failed;
}

// RFC 3464 section 2.3.4. The class must fit the action: a recipient that was given up after
// transient refusals failed because its time was over (RFC 3463, X.4.7).
std::string status_of(DsnKind kind, const Reply& reply) {
    const int klass = kind == DsnKind::failed ? 5 : 4;
    if (reply.enhanced.klass == klass) return reply.enhanced.to_string();
    if (reply.code / 100 == klass) return EnhancedCode{klass, 0, 0}.to_string();
    return EnhancedCode{klass, 4, 7}.to_string();
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
    Text text;
    const auto header = parse_header(facts.original_header.substr(0, facts.header_bytes_max));
    for (const auto& field : header.fields) {
        if (field.raw.starts_with("--")) continue;
        for (auto rest = field.raw; !rest.empty();) {
            const auto end = std::min(rest.find('\n'), rest.size() - 1) + 1;
            auto content = rest.substr(0, end);
            while (content.ends_with('\n') || content.ends_with('\r')) content.remove_suffix(1);
            text.line(sanitise(content, line_bytes_max));
            rest.remove_prefix(end);
        }
    }
    return text.take();
}

std::string explanation(const DsnFacts& facts) {
    Text text;
    text.line("This is the mail system at " + sanitise(facts.host_name) + '.').line();
    if (is_failed(facts)) {
        text.line(
                "Your message could not be delivered to the recipients below. It is not tried "
                "again.")
            .line("The reason is what their mail server, or this one, said.");
    } else {
        text.line("Your message could not be delivered yet to the recipients below.")
            .line("You need not send it again: it is tried until " +
                  format_date(facts.retry_until) + '.');
    }
    for (const auto& recipient : facts.recipients) {
        text.line().line('<' + sanitise(recipient.address) + '>');
        text.line("    " + reason_of(recipient.last.reply));
        if (!recipient.last.remote.empty())
            text.line("    asked: " + sanitise(recipient.last.remote));
    }
    return text.take();
}

std::string message_fields(const DsnFacts& facts) {
    Text text;
    text.field("Reporting-MTA", "dns; " + facts.host_name)
        .field("X-Posthorse-Queue-ID", facts.queue_id)
        .field("Arrival-Date", format_date(facts.arrived));
    return text.take();
}

std::string recipient_fields(const DsnFacts& facts, const DsnRecipient& recipient) {
    const auto& last = recipient.last;
    Text text;
    text.line();
    if (!recipient.original_recipient.empty()) {
        text.field("Original-Recipient", "rfc822; " + recipient.original_recipient);
    }
    text.field("Final-Recipient", "rfc822; " + recipient.address)
        .field("Action", is_failed(facts) ? "failed" : "delayed")
        .field("Status", status_of(facts.kind, last.reply));
    if (!last.remote.empty()) text.field("Remote-MTA", "dns; " + host_of(last.remote));
    const auto* source = last.reply.code == 0 ? "x-posthorse; " : "smtp; ";
    text.field("Diagnostic-Code", source + reason_of(last.reply));
    if (last.at != WallTime{}) text.field("Last-Attempt-Date", format_date(last.at));
    if (!is_failed(facts)) text.field("Will-Retry-Until", format_date(facts.retry_until));
    return text.take();
}

std::string top_header(const DsnFacts& facts, std::string_view boundary) {
    Text text;
    text.field("From", "Mail Delivery System <MAILER-DAEMON@" + facts.host_name + '>')
        .field("To", '<' + facts.sender + '>')
        .field("Subject", is_failed(facts) ? "Undelivered mail returned to sender"
                                           : "Delayed mail: still being tried")
        .field("Date", format_date(facts.now))
        .field("Message-ID", '<' + facts.unique + '@' + facts.host_name + '>')
        .field("Auto-Submitted", "auto-replied")  // RFC 3834 section 5: nobody answers this
        .field("MIME-Version", "1.0")
        .line("Content-Type: multipart/report; report-type=delivery-status;")
        .line("\tboundary=\"" + std::string(boundary) + '"')
        .line();
    return text.take();
}

std::string part(std::string_view boundary, std::string_view type, std::string_view content) {
    Text text;
    text.line("--" + std::string(boundary)).line("Content-Type: " + std::string(type)).line();
    return text.take().append(content).append("\r\n");
}

}  // namespace

std::string make_dsn(const DsnFacts& facts) {
    const auto boundary = sanitise(facts.unique, 40) + "=_report";  // '=_' is in no base64 text
    std::string status = message_fields(facts);
    for (const auto& recipient : facts.recipients) status += recipient_fields(facts, recipient);
    return top_header(facts, boundary) +
           part(boundary, "text/plain; charset=us-ascii", explanation(facts)) +
           part(boundary, "message/delivery-status", status) +
           part(boundary, "text/rfc822-headers; charset=us-ascii", quoted_header(facts)) + "--" +
           boundary + "--\r\n";
}

}  // namespace posthorse::mail
