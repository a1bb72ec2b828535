// What each admin command does, behind the command line of cli.h.
//
// Contract  Each makes its calls, prints, and says how it ended.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/admin/cli.h"
#include "daemon/admin/cli_client.h"

namespace posthorse::admin {

struct CliFilter {
    std::string sender;
    std::string recipient;
    std::string domain;
    std::string state;       // "deferred"
    std::string older_than;  // checked durations
    std::string newer_than;
    std::string id_prefix;
    bool in_doubt = false;
    std::string message_id;
    std::string reply;
    std::string text;
};

// The options of all commands; one command runs in a process.
struct CliOptions {
    std::string socket;
    AdminAddress afar;
    bool json = false;
    CliFilter filter;
    std::vector<std::string> ids;
    bool all = false;
    bool dry_run = false;
    std::string reason;
    std::uint64_t limit = UINT64_MAX;
    std::int32_t top = 50;
    // --- about what was set aside
    bool set_aside = false;
    std::string from;  // directory
    // --- of `node` and `pool status`
    std::vector<std::string> nodes;
    bool force = false;
    bool yes = false;
    bool partitions = false;
    std::string to;  // control plane
};

// nullopt: it cannot be told where the node is, or how to speak to it, which is said already.
std::optional<AdminClient> connect(AdminCliContext& context, const CliOptions& options);
CliExit complain(AdminCliContext& context, const CliFailure& failure);
// The exit code of what has taken several steps: an incomplete answer counts most.
CliExit worse(CliExit one, CliExit other);

// The ids of the command line, with "-" replaced by what standard input lists.
std::vector<std::string> gather_ids(AdminCliContext& context, const CliOptions& options);
inline constexpr std::size_t ids_a_call = 1000;  // as admin.proto bounds them
bool has_filter(const CliOptions& options);

CliExit run_ls(AdminCliContext& context, const CliOptions& options);
CliExit run_show(AdminCliContext& context, const CliOptions& options);
CliExit run_cat(AdminCliContext& context, const CliOptions& options);
CliExit run_act(AdminCliContext& context, const CliOptions& options, v1::Action action);
CliExit run_flush(AdminCliContext& context, const CliOptions& options);
CliExit run_summary(AdminCliContext& context, const CliOptions& options);
CliExit run_status(AdminCliContext& context, const CliOptions& options);
CliExit run_reload(AdminCliContext& context, const CliOptions& options);

}  // namespace posthorse::admin
