// Our own mail: bounces, delay warnings and notices of relay (RFC 3464), as messages for the queue.
//
// Contract  Pure. A notice goes from the null sender to the sender of the message it is about, and
//           lives for its own time; nobody is told when it fails. One about a message that requires
//           TLS requires it, too, and never returns more than the header (RFC 8689 section 5).
//           RET=FULL is honoured when the whole message lies in its first chunk, and is ASCII or
//           came with SMTPUTF8: a notice must not fail for what it quotes.
// Errors    A message from the null sender has no notice: asking for one is a bug.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/report/settle_decision.h"
#include "proto/mail/dsn.h"
#include "proto/types/envelope.h"

namespace posthorse::report {

struct NoticeSettings {
    std::string host_name;
    Duration lifetime = std::chrono::hours{96};
};

// The decision's recipients that a notice of that kind is about.
const std::vector<std::uint32_t>& owed_for(mail::DsnKind kind, const Decision& decision);

// The notice's bytes, unsigned. `original_head` is the first chunk of the message, or is empty when
// that cannot be read.
std::string notice_text(mail::DsnKind kind,
                        const Envelope& envelope,
                        const Decision& decision,
                        std::string_view original_head,
                        const NoticeSettings& settings,
                        WallTime now);

// `signature`: the DKIM-Signature fields in front, or nothing.
NewMessage make_notice(const Envelope& about,
                       std::string signature,
                       std::string_view text,
                       const NoticeSettings& settings,
                       WallTime now);

// Whom a notice is from, and whose key signs it.
std::string mailer_daemon(std::string_view host_name);

}  // namespace posthorse::report
