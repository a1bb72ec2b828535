// Runs a command line as daemon/main.cc does.
#pragma once

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "daemon/admin/cli.h"
#include "tests/unit/daemon/admin/admin_fixture.h"

namespace posthorse::admin::test {

struct Ran {
    int exit_code = 0;
    std::string out;
    std::string err;
};

struct Terminal {
    std::string input;
    bool interactive = false;
};

// CLI11's own complaints are usage errors.
inline Ran run(const Clock& clock,
               const std::string& socket,
               std::vector<std::string> words,
               const Terminal& terminal = {}) {
    std::istringstream in(terminal.input);
    std::ostringstream out;
    std::ostringstream err;
    AdminCliContext context{.socket_path = [&] { return Result<std::string>(socket); },
                            .clock = clock,
                            .in = in,
                            .out = out,
                            .err = err,
                            .interactive = terminal.interactive};
    CLI::App app;
    auto& pool = *app.add_subcommand("pool");
    add_admin_commands(app, context);
    add_pool_status(pool, context);
    std::reverse(words.begin(), words.end());  // as CLI11 wants a vector
    try {
        app.parse(words);
    } catch (const CLI::ParseError& error) {
        return {2, out.str(), error.what()};
    }
    return {context.exit_code, out.str(), err.str()};
}

inline Ran run(Node& node, std::vector<std::string> words, const std::string& input = {}) {
    return run(node.clock, node.socket(), std::move(words), {input});
}

inline bool has(const std::string& text, const std::string& part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

}  // namespace posthorse::admin::test
