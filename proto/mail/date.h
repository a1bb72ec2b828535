// Dates as header fields write them (RFC 5322 section 3.3).
#pragma once

#include <string>

#include "proto/types/time.h"

namespace posthorse::mail {

// "Sun, 22 Nov 2026 02:41:45 +0000"
std::string format_date(WallTime time);

}  // namespace posthorse::mail
