// Our own mail: bounces and delay warnings (RFC 3464), as messages for the queue.
//
// Contract  Pure. A notice goes from the null sender to the sender of the message it is about, and
//           lives for its own time; nobody is told when it fails.
// Errors    A message from the null sender has no notice: asking for one is a bug.
#pragma once

#include <string>
#include <string_view>

#include "daemon/report/settle_decision.h"
#include "proto/mail/dsn.h"
#include "proto/types/envelope.h"

namespace posthorse::report {

struct NoticeSettings {
    std::string host_name;
    Duration lifetime = std::chrono::hours{96};
};

// The notice's bytes, unsigned. `kind` says which of the decision's recipients it is about;
// `original_head` begins with the header of the message, or is empty when that cannot be read.
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
