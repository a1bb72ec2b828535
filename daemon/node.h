// The composition root: joins concrete types into a node, starts them in order and stops them in
// reverse. Nothing else knows them all.
//
// Contract  run_node() serves until SIGTERM or SIGINT and then stops within `stop_budget`: sessions
//           finish their transactions, attempts under way end, and what is still open when the
//           budget is nearly over is cut off (mail stays queued). SIGHUP reloads maps, keys,
//           certificates and passwords.
// Errors    What keeps a node from starting is printed with its mend; the exit code is 1.
#pragma once

#include <string>

#include "daemon/config/config.h"

namespace posthorse {

// "0.1.0"
std::string release();

// Returns the process's exit code.
int run_node(const config::Config& config, const std::string& config_file);

}  // namespace posthorse
