// Dates and times as parameters of commands write them (RFC 3339 section 5.6).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proto/types/time.h"

namespace posthorse::smtp {

// "2026-11-26T15:00:00Z", or with a fraction, or with an offset; nullopt: it is none.
std::optional<WallTime> parse_date_time(std::string_view text);

// In UTC and whole seconds: "2026-11-26T15:00:00Z".
std::string format_date_time(WallTime time);

}  // namespace posthorse::smtp
