// What `posthorse node ...` and `posthorse pool status` do, behind the command line of cli.h.
//
// Contract  As cli_commands.h. `node remove --force` says what it vouches for and asks first.
#pragma once

#include "daemon/admin/cli_commands.h"

namespace posthorse::admin {

CliExit run_node_ls(AdminCliContext& context, const CliOptions& options);
CliExit run_node_drain(AdminCliContext& context, const CliOptions& options);
CliExit run_node_resume(AdminCliContext& context, const CliOptions& options);
CliExit run_node_remove(AdminCliContext& context, const CliOptions& options);
CliExit run_pool_status(AdminCliContext& context, const CliOptions& options);

}  // namespace posthorse::admin
