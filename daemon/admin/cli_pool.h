// What `posthorse node ...`, `posthorse pool status` and `pool move` do, behind cli.h.
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
CliExit run_pool_move(AdminCliContext& context, const CliOptions& options);

}  // namespace posthorse::admin
