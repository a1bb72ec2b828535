#include "proto/mail/trace_header.h"

#include "proto/mail/date.h"
#include "proto/types/reply.h"
#include "proto/types/utf8.h"

namespace posthorse::mail {

namespace {

// What may stand in a field outside of quotes without opening a comment, a clause or an address.
std::string as_token(std::string_view text) {
    std::string token = sanitise(text, 255);
    for (char& c : token) {
        if (c == ' ' || std::string_view{"()<>;,\\\"@"}.find(c) != std::string_view::npos) c = '?';
    }
    return token;
}

// Inside a comment only parentheses and backslashes matter.
std::string as_comment(std::string_view text) {
    std::string comment = sanitise(text, 255);
    for (char& c : comment) {
        if (c == '(' || c == ')' || c == '\\') c = '?';
    }
    return comment;
}

std::string address_literal(std::string_view address) {
    const bool ipv6 = address.find(':') != std::string_view::npos;
    return (ipv6 ? "[IPv6:" : "[") + as_token(address) + ']';
}

std::string from_clause(const Origin& origin) {
    // RFC 5321 section 4.4 wants a name; a client that gave none is named by its address.
    const auto literal = address_literal(origin.client_address);
    const auto name = origin.helo.empty() ? literal : as_token(origin.helo);
    return "from " + name + " (" + literal + ')';
}

std::string with_clause(const Origin& origin) {
    auto clause = "with " + as_token(origin.protocol);
    if (!origin.tls.empty()) clause += " (" + as_comment(origin.tls) + ')';
    return clause;
}

}  // namespace

ReceivedField received_field(const TraceFacts& facts) {
    ReceivedField field;
    auto& text = field.text;
    text = "Received: " + from_clause(facts.origin) + "\r\n\tby " + as_token(facts.host_name) +
           " (Posthorse)\r\n\t" + with_clause(facts.origin) + "\r\n\tid ";
    field.queue_id_at = text.size();
    text += as_token(facts.queue_id);
    if (!facts.recipient.empty()) text += "\r\n\tfor <" + sanitise_utf8(facts.recipient) + '>';
    if (facts.priority != 0) text += "\r\n\tpriority " + std::to_string(facts.priority);
    text += ";\r\n\t" + format_date(facts.at) + "\r\n";
    return field;
}

std::string_view protocol_name(const ProtocolFacts& facts) {
    if (!facts.esmtp) return "SMTP";
    if (facts.utf8 && facts.authenticated) return facts.tls ? "UTF8SMTPSA" : "UTF8SMTPA";
    if (facts.utf8) return facts.tls ? "UTF8SMTPS" : "UTF8SMTP";
    if (facts.authenticated) return facts.tls ? "ESMTPSA" : "ESMTPA";
    return facts.tls ? "ESMTPS" : "ESMTP";
}

}  // namespace posthorse::mail
