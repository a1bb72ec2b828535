// What `posthorse queue ... --set-aside` and `queue adopt` do, behind the command line of cli.h.
//
// Contract  As cli_commands.h. A copy that cannot be opened is said and makes the exit code 1; so
//           does a refused message. 75: what the pool knows of some message could not be told.
#pragma once

#include "daemon/admin/cli_commands.h"

namespace posthorse::admin {

CliExit run_aside_ls(AdminCliContext& context, const CliOptions& options);
CliExit run_aside_adopt(AdminCliContext& context, const CliOptions& options);
CliExit run_aside_rm(AdminCliContext& context, const CliOptions& options);

}  // namespace posthorse::admin
