#include "daemon/config/units.h"

#include <array>
#include <charconv>
#include <limits>

namespace posthorse::config {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

// Largest first: format() takes the first that divides.
constexpr std::array<Unit, 5> duration_units{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
constexpr std::array<Unit, 7> size_units{{{"GB", 1'000'000'000},
                                          {"MB", 1'000'000},
                                          {"KB", 1000},
                                          {"GiB", 1u << 30},
                                          {"MiB", 1u << 20},
                                          {"KiB", 1u << 10},
                                          {"B", 1}}};

// Takes digits off the front of `text`. nullopt: none, or too many.
std::optional<std::uint64_t> take_number(std::string_view& text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

template <std::size_t N>
std::optional<std::uint64_t> factor_of(const std::array<Unit, N>& units, std::string_view name) {
    for (const auto& unit : units) {
        if (unit.name == name) return unit.factor;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> multiply(std::uint64_t number, std::uint64_t factor) {
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / factor) {
        return std::nullopt;
    }
    return number * factor;
}

template <std::size_t N>
std::string format(const std::array<Unit, N>& units, std::uint64_t value) {
    for (const auto& unit : units) {
        if (value % unit.factor == 0) {
            return std::to_string(value / unit.factor) + std::string(unit.name);
        }
    }
    return std::to_string(value);
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    if (text == "0") return Duration{0};
    if (text.empty()) return std::nullopt;
    std::uint64_t sum = 0;
    while (!text.empty()) {
        const auto number = take_number(text);
        if (!number) return std::nullopt;
        const auto unit = text.substr(0, text.find_first_of("0123456789"));
        text.remove_prefix(unit.size());
        const auto factor = factor_of(duration_units, unit);
        if (!factor) return std::nullopt;
        const auto part = multiply(*number, *factor);
        if (!part || *part > std::numeric_limits<std::int64_t>::max() - sum) return std::nullopt;
        sum += *part;
    }
    return Duration{static_cast<Duration::rep>(sum)};
}

std::string format_duration(Duration value) {
    if (value.count() == 0) return "0s";
    return format(duration_units, static_cast<std::uint64_t>(value.count()));
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    if (text.empty()) return number;
    const auto factor = factor_of(size_units, text);
    if (!factor) return std::nullopt;
    return multiply(*number, *factor);
}

std::string format_size(std::uint64_t bytes) {
    if (bytes == 0) return "0";
    for (const auto& unit : size_units) {
        if (unit.factor > 1 && bytes % unit.factor == 0) {
            return std::to_string(bytes / unit.factor) + std::string(unit.name);
        }
    }
    return std::to_string(bytes);
}

}  // namespace posthorse::config
