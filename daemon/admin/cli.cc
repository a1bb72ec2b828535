#include "daemon/admin/cli.h"

#include <istream>
#include <memory>

#include <CLI/CLI.hpp>

#include "daemon/admin/cli_aside.h"
#include "daemon/admin/cli_commands.h"
#include "daemon/admin/cli_pool.h"
#include "daemon/config/units.h"

namespace posthorse::admin {
namespace {

using Options = std::shared_ptr<CliOptions>;
using Run = CliExit (*)(AdminCliContext&, const CliOptions&);

const CLI::Validator duration_check(
    [](const std::string& text) -> std::string {
        if (config::parse_duration(text)) return {};
        return "'" + text + "' is not a duration: write 30s, 5m, 1h30m or 4d";
    },
    "DURATION");

// The environment is asked when the command runs: a --socket on the command line goes before it.
void add_afar(CLI::App& command, const Options& options, CLI::Option& socket) {
    auto& at = options->afar;
    command
        .add_option(
            "--address", at.address,
            "the node's admin port: HOST:PORT (Env:" + std::string(admin_address_variable) + ")")
        ->excludes(&socket);
    command.add_option(
        "--ca", at.ca_file,
        "authority of the node's certificate (Env:" + std::string(admin_ca_variable) + ")");
    command.add_option("--certificate", at.certificate_file,
                       "your certificate (Env:" + std::string(admin_certificate_variable) + ")");
    command.add_option("--key", at.key_file,
                       "and its key (Env:" + std::string(admin_key_variable) + ")");
    command.add_option("--server-name", at.server_name,
                       "that the node's certificate carries, when it is not HOST");
}

CLI::App& add(CLI::App& parent,
              AdminCliContext& context,
              const Options& options,
              const char* name,
              const char* help,
              Run run) {
    auto* command = parent.add_subcommand(name, help);
    command->fallthrough();  // --config and its like belong to `posthorse` itself
    auto* socket = command->add_option("--socket", options->socket, "the node's admin socket");
    add_afar(*command, options, *socket);
    command->callback(
        [&context, options, run] { context.exit_code = static_cast<int>(run(context, *options)); });
    return *command;
}

void add_json(CLI::App& command, const Options& options) {
    command.add_flag("--json", options->json, "one JSON object a line");
}

void add_filter(CLI::App& command, const Options& options) {
    auto& filter = options->filter;
    command.add_option("--sender", filter.sender, "address, *@domain, or <> for bounces");
    command.add_option("--recipient", filter.recipient, "address or *@domain");
    command.add_option("--domain", filter.domain, "of a pending recipient");
    command.add_option("--state", filter.state, "")
        ->check(CLI::IsMember({"deferred", "active", "held", "in_doubt"}));
    command.add_option("--older-than", filter.older_than, "since it was accepted")
        ->check(duration_check);
    command.add_option("--newer-than", filter.newer_than, "")->check(duration_check);
    command.add_option("--id", filter.id_prefix, "beginning of the queue id");
    command.add_flag("--in-doubt", filter.in_doubt, "an attempt's end is not known");
    command.add_option("--message-id", filter.message_id, "of the header field");
    command.add_option("--reply", filter.reply, "occurs in the last reply to a recipient");
}

// --- about what was set aside, which other commands must not take by mistake

void add_from(CLI::App& command, const Options& options) {
    command.add_option("--from", options->from, "one directory of those that were set aside");
}

CliExit run_ls_of(AdminCliContext& context, const CliOptions& options) {
    if (options.set_aside) return run_aside_ls(context, options);
    if (options.from.empty()) return run_ls(context, options);
    return complain(context, {CliExit::usage, "--from goes with --set-aside"});
}

CliExit run_rm_of(AdminCliContext& context, const CliOptions& options) {
    if (options.set_aside) return run_aside_rm(context, options);
    if (options.from.empty()) return run_act(context, options, v1::ACTION_REMOVE);
    return complain(context, {CliExit::usage, "--from goes with --set-aside"});
}

void add_adopt(CLI::App& queue, AdminCliContext& context, const Options& options) {
    auto& adopt = add(queue, context, options, "adopt",
                      "take what was set aside on this node into the queue", run_aside_adopt);
    adopt.add_option("ids", options->ids, "queue ids; - reads them from standard input");
    adopt.add_flag("--all", options->all, "all that was set aside");
    add_from(adopt, options);
    adopt.add_flag("--force", options->force, "also what recipients may have already");
    adopt.add_flag("--dry-run", options->dry_run, "print what would be done, do nothing");
    adopt.add_option("--reason", options->reason, "for the node's log");
    add_json(adopt, options);
}

void add_set_aside(CLI::App& command, const Options& options) {
    command.add_flag("--set-aside", options->set_aside,
                     "in the data directories that were set aside on this node");
    add_from(command, options);
}

template <v1::Action action>
CliExit run_action(AdminCliContext& context, const CliOptions& options) {
    return run_act(context, options, action);
}

void add_action(CLI::App& queue,
                AdminCliContext& context,
                const Options& options,
                const char* name,
                const char* help,
                Run run) {
    auto& command = add(queue, context, options, name, help, run);
    command.add_option("ids", options->ids, "queue ids; - reads them from standard input");
    add_filter(command, options);
    command.add_flag("--all", options->all, "the whole queue");
    command.add_flag("--dry-run", options->dry_run, "print what would be done, do nothing");
    command.add_option("--reason", options->reason, "for the node's log");
    add_json(command, options);
}

void add_actions(CLI::App& queue, AdminCliContext& context, const Options& options) {
    add_action(queue, context, options, "retry", "make messages due now",
               run_action<v1::ACTION_RETRY>);
    add_action(queue, context, options, "hold", "no attempt until resumed",
               run_action<v1::ACTION_HOLD>);
    add_action(queue, context, options, "resume", "end a hold, due now",
               run_action<v1::ACTION_RESUME>);
    add_action(queue, context, options, "rm", "remove messages; nobody is told", run_rm_of);
    add_set_aside(*queue.get_subcommand("rm"), options);
    add_action(queue, context, options, "bounce", "give messages back to their senders",
               run_action<v1::ACTION_BOUNCE>);
}

void add_queue(CLI::App& app, AdminCliContext& context, const Options& options) {
    auto& queue = *app.add_subcommand("queue", "see the queue and act on it");
    queue.require_subcommand(1);
    queue.fallthrough();

    auto& ls = add(queue, context, options, "ls", "list messages", run_ls_of);
    add_set_aside(ls, options);
    add_filter(ls, options);
    ls.add_option("--limit", options->limit, "stop after so many")->check(CLI::PositiveNumber);
    add_json(ls, options);

    auto& search = add(queue, context, options, "search", "list what holds a text", run_ls);
    search
        .add_option("text", options->filter.text,
                    "occurs in sender, recipient, message-id or last reply")
        ->required();
    add_filter(search, options);
    search.add_option("--limit", options->limit, "stop after so many")->check(CLI::PositiveNumber);
    add_json(search, options);

    auto& show = add(queue, context, options, "show", "all about messages", run_show);
    show.add_option("ids", options->ids, "queue ids")->required();
    add_json(show, options);

    auto& cat = add(queue, context, options, "cat", "a message as it is sent", run_cat);
    cat.add_option("id", options->ids, "queue id")->required()->expected(1);

    add_actions(queue, context, options);
    add_adopt(queue, context, options);
    auto& flush =
        add(queue, context, options, "flush", "make all due now but held ones", run_flush);
    flush.add_flag("--dry-run", options->dry_run, "count what would be made due, do nothing");
    add_json(flush, options);

    auto& summary = add(queue, context, options, "summary", "ages by destination", run_summary);
    add_filter(summary, options);
    summary.add_option("--top", options->top, "domains to print")->check(CLI::Range(1, 10'000));
    add_json(summary, options);
}

void add_node(CLI::App& app, AdminCliContext& context, const Options& options) {
    auto& node = *app.add_subcommand("node", "the nodes of the pool");
    node.require_subcommand(1);
    node.fallthrough();
    add_json(add(node, context, options, "ls", "list the nodes", run_node_ls), options);

    const auto add_named = [&](const char* name, const char* help, Run run) {
        auto& command = add(node, context, options, name, help, run);
        return command.add_option("nodes", options->nodes, "name, id, or beginning of an id")
            ->required();
    };
    add_named("drain", "no new copies, partitions or vote", run_node_drain)->expected(1);
    add_named("resume", "end a drain", run_node_resume)->expected(1);
    add_named("remove", "take nodes that are off out of the pool", run_node_remove);
    auto& remove = *node.get_subcommand("remove");
    remove.add_flag("--force", options->force,
                    "others go on with older copies of what only they hold; when "
                    "nothing can be decided, go on without them");
    remove.add_flag("--yes", options->yes, "do not ask");
}

}  // namespace

void add_pool_status(CLI::App& pool, AdminCliContext& context) {
    const auto options = std::make_shared<CliOptions>();
    auto& status = add(pool, context, options, "status", "the pool, and what is wrong with it",
                       run_pool_status);
    status.add_flag("--partitions", options->partitions, "list the partitions");
    add_json(status, options);
    auto& move = add(pool, context, options, "move",
                     "move the running pool to another control plane", run_pool_move);
    move.add_option("--to", options->to, "etcd or embedded")
        ->required()
        ->check(CLI::IsMember({"etcd", "embedded"}));
}

void add_admin_commands(CLI::App& app, AdminCliContext& context) {
    const auto options = std::make_shared<CliOptions>();
    add_queue(app, context, options);
    add_node(app, context, options);
    add_json(add(app, context, options, "status", "the node in figures", run_status), options);
    add(app, context, options, "reload", "read maps, keys and certificates anew", run_reload);
}

}  // namespace posthorse::admin
