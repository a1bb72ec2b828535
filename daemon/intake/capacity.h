// How many sessions there may be below the limit of open files.
//
// Place     Asked by listener.h at its start, before anybody can connect.
// Contract  Pure. Each session takes a descriptor, each connection out another; `others` are the
//           queue's files, peers, operators, look-ups and the log. A large queue has more files.
#pragma once

#include <cstdint>

#include "daemon/config/config.h"

namespace posthorse::intake {

inline constexpr std::uint64_t others_least = 256;
inline constexpr std::uint64_t others_wanted = 2048;
// With fewer a node is of no use, and says so instead of starting.
inline constexpr std::uint64_t sessions_least = 10;

// What the configuration asks for.
std::uint64_t descriptors_wanted(const config::Config& config);
// `sessions_max`, or as many as fit; 0 when fewer than sessions_least do.
std::uint64_t sessions_that_fit(const config::Config& config, std::uint64_t descriptors);

}  // namespace posthorse::intake
