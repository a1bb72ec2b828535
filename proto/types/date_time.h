// Dates and times as texts, in UTC (RFC 3339 section 5.6). How header fields write them is
// proto/mail/date.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proto/types/time.h"

namespace posthorse {

// A moment as people in UTC count it, in whole seconds.
struct CivilTime {
    int year = 1970;
    int month = 1;
    int day = 1;
    int hour = 0;
    int minute = 0;
    int second = 0;
};
CivilTime civil_time(WallTime time);

// "2026-11-26T15:00:00Z", or with a fraction, or with an offset; nullopt: it is none.
std::optional<WallTime> parse_date_time(std::string_view text);

// "2026-11-26T15:00:00Z"
std::string format_date_time(WallTime time);
// "20261126T150000Z": for names of files, whose order is the order in time.
std::string format_date_time_compact(WallTime time);
// "2026-11-26"
std::string format_day(WallTime time);

}  // namespace posthorse
