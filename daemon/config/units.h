// Durations and sizes as people write them: "90s", "1h30m", "4d"; "50MB", "256MiB".
//
// Contract  Pure. parse(format(x)) == x.
// Errors    nullopt: no number, no known unit, or beyond 64 bits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/types/time.h"

namespace posthorse::config {

// Units ms, s, m, h and d; each number needs one, but for a lone 0.
std::optional<Duration> parse_duration(std::string_view text);
std::string format_duration(Duration value);

// A number alone is bytes. KB, MB and GB are powers of 1000; KiB, MiB and GiB of 1024.
std::optional<std::uint64_t> parse_size(std::string_view text);
std::string format_size(std::uint64_t bytes);

}  // namespace posthorse::config
