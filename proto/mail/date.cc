#include "proto/mail/date.h"

#include <array>
#include <cstdio>

#include "proto/types/date_time.h"

namespace posthorse::mail {

std::string format_date(WallTime time) {
    constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto civil = civil_time(time);
    const std::chrono::weekday weekday{std::chrono::floor<std::chrono::days>(time)};
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%s, %d %s %d %02d:%02d:%02d +0000",
                  days[weekday.c_encoding()], civil.day,
                  months[static_cast<std::size_t>(civil.month) - 1], civil.year, civil.hour,
                  civil.minute, civil.second);
    return text.data();
}

}  // namespace posthorse::mail
