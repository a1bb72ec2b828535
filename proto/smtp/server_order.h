// Which command may come when (RFC 5321 section 4.1.4): what stands in the way of one that may not.
//
// Place     Under server_session.h, which asks before it reads the command's argument.
// Contract  Pure. nullopt: nothing stands in its way.
#pragma once

#include <optional>

#include "proto/smtp/server_profile.h"
#include "proto/smtp/server_transaction.h"
#include "proto/types/reply.h"

namespace posthorse::smtp {

// Where a conversation stands.
struct Standing {
    const ServerProfile& profile;
    const SessionFacts& facts;
    const Transaction* transaction;  // null: no message is open
    bool body_begun;
};

std::optional<Reply> before_starttls(const Standing& now);
std::optional<Reply> before_auth(const Standing& now);
std::optional<Reply> before_mail(const Standing& now);
std::optional<Reply> before_rcpt(const Standing& now);
std::optional<Reply> before_data(const Standing& now);
std::optional<Reply> before_chunk(const Standing& now);

}  // namespace posthorse::smtp
