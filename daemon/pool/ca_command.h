// `posthorse pool ca init|issue`: makes the certificates by which a pool's nodes know each other.
//
// Place     Called by daemon/main.cc.
// Contract  Keys have mode 0600, no file is ever written over. Returns the process's exit code: 0
//           done, with the next step or the settings on `out`; 1 refused, the reason on `err`.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "proto/types/time.h"

namespace posthorse::pool {

inline constexpr unsigned certificate_days_default = 3650;

// The authority: ca.pem and ca.key in `directory`, which is made if it is not there.
struct CaInitCommand {
    std::string directory;
    unsigned days = certificate_days_default;
};
int ca_init(const CaInitCommand& command, WallTime now, std::ostream& out, std::ostream& err);

// A certificate of the authority in `directory`.
struct CaIssueCommand {
    std::string directory;
    std::vector<std::string> names;  // host names or IP addresses; none: one for the whole pool
    unsigned days = certificate_days_default;  // or until the authority's end
    std::string prefix;  // of the .pem and the .key; empty: directory/pool or directory/NAME
};
int ca_issue(const CaIssueCommand& command, WallTime now, std::ostream& out, std::ostream& err);

}  // namespace posthorse::pool
