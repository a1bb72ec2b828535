// May this client do this? Policy of intake, as pure functions of values.
//
// Place     Asked by connection.h at MAIL and RCPT, by acceptance.h at the end of the header.
// Contract  A positive reply lets the command take effect. Replies never tell more than the client
//           may know (RFC 5321 section 7.3).
#pragma once

#include <optional>
#include <string>

#include "daemon/auth/sender_policy.h"
#include "daemon/config/config.h"
#include "daemon/intake/recipient_map.h"
#include "proto/mail/header.h"
#include "proto/smtp/server_session.h"
#include "proto/types/envelope.h"
#include "proto/types/reply.h"
#include "proto/types/time.h"

namespace posthorse::intake {

// Who asks.
struct Client {
    config::ListenerKind listener = config::ListenerKind::mx;
    bool trusted = false;      // its network may submit without AUTH
    std::string login;         // empty: not authenticated
    std::uint32_t copies = 0;  // that its listener wants; 0: as many as the pool
    bool verified = false;     // its listener verifies what strangers bring
};

// Submissions are signed and may go anywhere; mail from strangers only to the relay domains.
bool is_submission(const Client& client);

Reply admit_sender(const auth::SenderPolicy& policy,
                   const Client& client,
                   const std::string& sender);
// Every address of every From field must be the login's: the first decides whose key signs.
// Resent-From and Sender are not looked at.
Reply admit_author(const auth::SenderPolicy& policy,
                   const Client& client,
                   const mail::Header& header);
// `map` may be null. Its rows come before the relay domains.
Reply admit_recipient(const config::Config& config,
                      const RecipientMap* map,
                      const Client& client,
                      const std::string& recipient);

// What only a clock tells of the times that MAIL names: a release that is past, or would come after
// the time until which the message is to be delivered (RFC 4865 section 5.2).
std::optional<Reply> refuse_times(const MailWishes& wishes, WallTime now);

// "postmaster" without a domain is this host's (RFC 5321 section 4.5.1).
std::string qualified(const config::Config& config, std::string recipient);

}  // namespace posthorse::intake
