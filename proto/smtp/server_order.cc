#include "proto/smtp/server_order.h"

#include <string>
#include <utility>

namespace posthorse::smtp {

namespace {

Reply bad_sequence(std::string text) {
    return {503, {5, 5, 1}, std::move(text)};
}

}  // namespace

std::optional<Reply> before_starttls(const Standing& now) {
    if (now.facts.tls) return bad_sequence("TLS is on already");
    if (!now.profile.starttls) return Reply{502, {5, 5, 1}, "STARTTLS is not offered"};
    if (now.body_begun) return bad_sequence("The message has begun");
    return std::nullopt;
}

std::optional<Reply> before_auth(const Standing& now) {
    if (!now.profile.auth) return Reply{502, {5, 5, 1}, "AUTH is not offered"};
    if (!auth_offered(now.profile, now.facts)) {
        return Reply{538, {5, 7, 11}, "Encryption required: send STARTTLS first"};
    }
    if (!now.facts.esmtp) return bad_sequence("Send EHLO first");
    if (!now.facts.login.empty()) return bad_sequence("Already authenticated");
    if (now.transaction) return bad_sequence("AUTH is not allowed while a message is open");
    return std::nullopt;
}

std::optional<Reply> before_mail(const Standing& now) {
    if (now.facts.helo.empty()) return bad_sequence("Send HELO or EHLO first");
    if (now.transaction) return bad_sequence("A message is open already: RSET drops it");
    if (now.profile.require_tls && !now.facts.tls) {
        return Reply{530, {5, 7, 0}, "Send STARTTLS first"};
    }
    if (now.profile.require_auth && now.facts.login.empty()) {
        return Reply{530, {5, 7, 0}, "Authentication required"};
    }
    return std::nullopt;
}

std::optional<Reply> before_rcpt(const Standing& now) {
    if (!now.transaction) return bad_sequence("Send MAIL first");
    if (now.body_begun) return bad_sequence("The message has begun: send BDAT or RSET");
    if (now.transaction->recipients.size() >= now.profile.limits.recipients_max) {
        return Reply{452, {4, 5, 3}, "Too many recipients: send the rest in another message"};
    }
    return std::nullopt;
}

std::optional<Reply> before_data(const Standing& now) {
    if (!now.transaction) return bad_sequence("Send MAIL first");
    if (now.body_begun) return bad_sequence("DATA cannot follow BDAT");
    if (now.transaction->recipients.empty()) return Reply{554, {5, 5, 1}, "No valid recipients"};
    return std::nullopt;
}

std::optional<Reply> before_chunk(const Standing& now) {
    if (!now.transaction) return bad_sequence("Send MAIL first");
    if (now.transaction->recipients.empty()) return bad_sequence("No valid recipients");
    return std::nullopt;
}

}  // namespace posthorse::smtp
