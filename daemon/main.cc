// The one binary: `posthorse serve` runs a node, every other command is a tool beside it.
//
// Contract  Exit codes: 0 done; 1 refused or failed, the reason is on standard error; 2 the command
//           line is wrong; 3 no node answers (admin commands).
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include <CLI/CLI.hpp>

#include "daemon/admin/cli.h"
#include "daemon/admin/old_names.h"
#include "daemon/auth/user_command.h"
#include "daemon/config/config.h"
#include "daemon/heap.h"
#include "daemon/node.h"
#include "daemon/pool/ca_command.h"
#include "daemon/runtime/privileges.h"
#include "daemon/runtime/system_clock.h"
#include "daemon/sign/keygen_command.h"

namespace {

using namespace posthorse;

constexpr const char* default_config = "/etc/posthorse/posthorse.toml";

// The options of all commands; one command runs in a process.
struct Options {
    std::string config_file = default_config;
    std::string password_file;
    std::string login;
    bool password_on_stdin = false;
    std::string key_type = "rsa";
    sign::KeygenCommand keygen{.selector = "posthorse", .directory = "."};
    pool::CaInitCommand ca_init;
    pool::CaIssueCommand ca_issue;
};

void print(const std::vector<config::Problem>& problems) {
    for (const auto& problem : problems) {
        std::cerr << problem.to_string() << (problem.fatal ? "\n" : " (skipped)\n");
    }
}

int serve(const Options& options) {
    // Whoever it becomes must be able to read the files.
    const auto became = runtime::give_up_privileges(config::read(options.config_file).config.user);
    if (!became) {
        std::cerr << options.config_file << ": " << became.error().what << '\n';
        return 1;
    }
    const auto loaded = config::load(options.config_file);
    print(loaded.problems);
    if (!loaded.usable()) return 1;
    begin_to_give_back_heap();
    return run_node(loaded.config, options.config_file);
}

int check_config(const Options& options) {
    const auto loaded = config::load(options.config_file);
    print(loaded.problems);
    if (!loaded.usable()) return 1;
    std::cout << options.config_file << ": ok\n";
    return 0;
}

int show_config(const Options& options) {
    const auto loaded = config::load(options.config_file);
    print(loaded.problems);
    if (!loaded.usable()) return 1;
    for (const auto& setting : config::settings(loaded.config)) {
        std::cout << setting.key << " = " << setting.value << '\n';
    }
    return 0;
}

using UserCommandFunction = int (*)(const auth::UserCommand&, auth::Console);

int user(const Options& options, UserCommandFunction command) {
    auth::UserCommand request{options.password_file, options.login};
    if (options.password_on_stdin) request.source = auth::PasswordSource::first_line;
    if (request.password_file.empty()) {
        const auto loaded = config::load(options.config_file);
        request.password_file = loaded.config.auth.password_file;
    }
    if (request.password_file.empty()) {
        std::cerr << options.config_file
                  << ": auth.password_file is not set; set it, or name a file with --file\n";
        return 1;
    }
    return command(request, {std::cin, std::cout, std::cerr});
}

void add_user_commands(CLI::App& app, Options& options, int& exit_code) {
    auto& group = *app.add_subcommand("user", "Logins of the password file");
    group.require_subcommand(1);
    const auto add = [&](const char* name, const char* help, UserCommandFunction function) {
        auto* command = group.add_subcommand(name, help);
        command->add_option("--file", options.password_file,
                            "The password file (default: auth.password_file)");
        command->callback(
            [&options, &exit_code, function] { exit_code = user(options, function); });
        return command;
    };
    for (auto* command : {add("add", "Add a login", auth::user_add),
                          add("passwd", "Change a login's password", auth::user_passwd)}) {
        command->add_option("login", options.login)->required();
        command->add_flag("--password-stdin", options.password_on_stdin,
                          "Read the password from the first line of standard input");
    }
    add("rm", "Remove a login", auth::user_rm)->add_option("login", options.login)->required();
    add("ls", "List the logins", auth::user_ls);
}

void add_dkim_commands(CLI::App& app, Options& options, int& exit_code) {
    auto& group = *app.add_subcommand("dkim", "Signing keys");
    group.require_subcommand(1);
    auto& keygen =
        *group.add_subcommand("keygen", "Make a key; print its DNS record and table rows");
    keygen.add_option("--domain", options.keygen.domain)->required();
    keygen.add_option("--selector", options.keygen.selector)->capture_default_str();
    keygen.add_option("--type", options.key_type)
        ->check(CLI::IsMember({"rsa", "ed25519"}))
        ->capture_default_str();
    keygen.add_option("--out", options.keygen.directory, "Directory of the key file")
        ->capture_default_str();
    keygen.callback([&] {
        options.keygen.kind =
            options.key_type == "rsa" ? sign::KeyKind::rsa : sign::KeyKind::ed25519;
        exit_code = sign::keygen(options.keygen, std::cout, std::cerr);
    });
}

// Returns the group, for what asks a running node.
CLI::App& add_pool_commands(CLI::App& app, Options& options, int& exit_code) {
    auto& nodes = *app.add_subcommand("pool", "The nodes that share one queue");
    nodes.require_subcommand(1);
    nodes.fallthrough();
    auto& group = *nodes.add_subcommand("ca", "Certificates by which nodes know each other");
    group.require_subcommand(1);
    const auto add = [&group](const char* name, const char* help, auto& request) {
        auto* command = group.add_subcommand(name, help);
        command->add_option("--dir", request.directory, "Directory of the authority")->required();
        command->add_option("--days", request.days, "How long the certificate is good")
            ->check(CLI::Range(1, 36500))
            ->capture_default_str();
        return command;
    };
    add("init", "Make the pool's authority", options.ca_init)->callback([&] {
        exit_code =
            pool::ca_init(options.ca_init, runtime::SystemClock().wall(), std::cout, std::cerr);
    });
    auto& issue = *add("issue", "Make a certificate and print its settings", options.ca_issue);
    issue
        .add_option("--name", options.ca_issue.names,
                    "Name or IP address of a node (default: one certificate for all)")
        ->allow_extra_args(false);
    issue.add_option("--out", options.ca_issue.prefix, "Path of the files, without .pem and .key");
    issue.callback([&] {
        exit_code =
            pool::ca_issue(options.ca_issue, runtime::SystemClock().wall(), std::cout, std::cerr);
    });
    return nodes;
}

void add_config_commands(CLI::App& app, Options& options, int& exit_code) {
    auto& group = *app.add_subcommand("config", "The configuration file");
    group.require_subcommand(1);
    group.add_subcommand("check", "Report every fault with file, line and mend")->callback([&] {
        exit_code = check_config(options);
    });
    group.add_subcommand("show", "Print every setting and its value")->callback([&] {
        exit_code = show_config(options);
    });
}

Result<std::string> admin_socket(const Options& options) {
    const auto loaded = config::read(options.config_file);
    if (!loaded.usable()) {
        return Error{Errc::invalid,
                     options.config_file +
                         ": cannot be used; see `posthorse config check`, or name --socket"};
    }
    return loaded.config.admin.socket;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    int exit_code = 0;
    CLI::App app{"Posthorse: a mail transfer agent that runs as a pool of identical clones"};
    app.set_version_flag("--version", std::string("posthorse ") + release());
    app.add_option("-c,--config", options.config_file, "Configuration file")
        ->envname("POSTHORSE_CONFIG")
        ->capture_default_str();
    app.fallthrough();
    app.require_subcommand(1);

    app.add_subcommand("serve", "Run a node in the foreground")->callback([&] {
        exit_code = serve(options);
    });
    add_config_commands(app, options, exit_code);
    add_user_commands(app, options, exit_code);
    add_dkim_commands(app, options, exit_code);
    auto& pool_commands = add_pool_commands(app, options, exit_code);

    const runtime::SystemClock clock;
    admin::AdminCliContext admin{.socket_path = [&] { return admin_socket(options); },
                                 .clock = clock,
                                 .in = std::cin,
                                 .out = std::cout,
                                 .err = std::cerr,
                                 .interactive = ::isatty(STDIN_FILENO) != 0};
    admin::add_admin_commands(app, admin);
    admin::add_pool_status(pool_commands, admin);

    try {
        if (auto known = admin::by_old_name(argv[0], {argv + 1, argv + argc})) {
            if (!*known) {
                std::cerr << known->error().what << '\n';
                return 2;
            }
            auto& words = **known;
            std::reverse(words.begin(), words.end());  // as CLI11 wants them
            app.parse(std::move(words));
        } else {
            app.parse(argc, argv);
        }
    } catch (const CLI::ParseError& error) {
        const int code = app.exit(error);
        return code == 0 ? 0 : 2;
    }
    return exit_code != 0 ? exit_code : admin.exit_code;
}
