#include "proto/types/date_time.h"

#include <array>
#include <cstdio>

namespace posthorse {

namespace {

// Takes its parts off the front of a text; once one is missing all are.
class Scanner {
public:
    explicit Scanner(std::string_view text) : rest_(text) {}

    bool good() const { return good_; }
    bool at_end() const { return rest_.empty(); }
    bool begins_with(std::string_view octets) const {
        return !rest_.empty() && octets.find(rest_.front()) != std::string_view::npos;
    }

    // One octet of `octets`.
    char one_of(std::string_view octets) {
        good_ = good_ && begins_with(octets);
        if (!good_) return '\0';
        const char octet = rest_.front();
        rest_.remove_prefix(1);
        return octet;
    }

    int digits(std::size_t count) {
        int number = 0;
        for (; count > 0; --count) number = number * 10 + (one_of("0123456789") - '0');
        return good_ ? number : 0;
    }

    int number(std::size_t digit_count, int most) {
        const int read = digits(digit_count);
        good_ = good_ && read <= most;
        return read;
    }

private:
    std::string_view rest_;
    bool good_ = true;
};

// ".5" and more digits, as far as milliseconds go.
std::chrono::milliseconds take_fraction(Scanner& scanner) {
    std::chrono::milliseconds fraction{0};
    if (!scanner.begins_with(".")) return fraction;
    scanner.one_of(".");
    int unit = 100;
    do {
        fraction += std::chrono::milliseconds{scanner.digits(1) * unit};
        unit /= 10;
    } while (scanner.begins_with("0123456789"));
    return fraction;
}

// What the local time is ahead of UTC.
std::chrono::minutes take_offset(Scanner& scanner) {
    if (scanner.begins_with("Zz")) {
        scanner.one_of("Zz");
        return {};
    }
    const bool behind = scanner.one_of("+-") == '-';
    const std::chrono::hours hours{scanner.number(2, 23)};
    scanner.one_of(":");
    const auto offset = hours + std::chrono::minutes{scanner.number(2, 59)};
    return behind ? -offset : offset;
}

// `form` takes year, month, day, hour, minute and second, or the first of them.
std::string format(const char* form, WallTime time) {
    const auto civil = civil_time(time);
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), form, civil.year, civil.month, civil.day, civil.hour,
                  civil.minute, civil.second);
    return text.data();
}

}  // namespace

CivilTime civil_time(WallTime time) {
    const auto midnight = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{midnight};
    const std::chrono::hh_mm_ss clock{std::chrono::floor<std::chrono::seconds>(time - midnight)};
    return {.year = static_cast<int>(date.year()),
            .month = static_cast<int>(static_cast<unsigned>(date.month())),
            .day = static_cast<int>(static_cast<unsigned>(date.day())),
            .hour = static_cast<int>(clock.hours().count()),
            .minute = static_cast<int>(clock.minutes().count()),
            .second = static_cast<int>(clock.seconds().count())};
}

std::optional<WallTime> parse_date_time(std::string_view text) {
    Scanner scanner(text);
    const std::chrono::year year{scanner.digits(4)};
    scanner.one_of("-");
    const auto month = static_cast<unsigned>(scanner.digits(2));
    scanner.one_of("-");
    const auto day = static_cast<unsigned>(scanner.digits(2));
    const std::chrono::year_month_day date{year, std::chrono::month{month}, std::chrono::day{day}};
    scanner.one_of("Tt");
    const std::chrono::hours hours{scanner.number(2, 23)};
    scanner.one_of(":");
    const std::chrono::minutes minutes{scanner.number(2, 59)};
    scanner.one_of(":");
    const std::chrono::seconds seconds{scanner.number(2, 60)};  // of a leap second
    const auto fraction = take_fraction(scanner);
    const auto offset = take_offset(scanner);
    if (!scanner.good() || !scanner.at_end() || !date.ok()) return std::nullopt;
    return WallTime{std::chrono::sys_days{date}} + hours + minutes + seconds + fraction - offset;
}

std::string format_date_time(WallTime time) {
    return format("%04d-%02d-%02dT%02d:%02d:%02dZ", time);
}

std::string format_date_time_compact(WallTime time) {
    return format("%04d%02d%02dT%02d%02d%02dZ", time);
}

std::string format_day(WallTime time) {
    return format("%04d-%02d-%02d", time);
}

}  // namespace posthorse
