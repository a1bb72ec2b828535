// The line that each attempt leaves for each recipient, in the style of sendmail's log.
//
//   <id>: to=<user@example.org>, relay=mx.example.org[192.0.2.1]:25, delay=0.52, attempts=1,
//     tls=TLSv1.3/TLS_AES_256_GCM_SHA384, dsn=2.0.0, stat=Sent (250 2.0.0 ok)
//
// (on one line). Alerts and runbooks match `stat=Sent`, `stat=Deferred`, `dsn=5\.[0-9]+\.[0-9]+`
// and `to=<...@...>`; what other words follow `stat=` is listed in stat_of().
//
// Contract  Pure. Nothing else in the log looks so. No octet of a stranger ends the line, and none
//           can pass for one of its fields.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/types/envelope.h"

namespace posthorse::report {

enum class Addresses : std::uint8_t { shown, masked };

// `outcome` is of the attempt that ended; `envelope` as it was before.
std::string delivery_line(const Envelope& envelope,
                          const RecipientOutcome& outcome,
                          Addresses addresses);

}  // namespace posthorse::report
