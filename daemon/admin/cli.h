// The commands that speak to a running node: `posthorse queue ...`, `node ...`, `status`, `reload`
// and `pool status`.
//
// Place     daemon/main.cc adds them to its CLI11 app and returns the exit code.
// Contract  They speak only gRPC over the admin socket. Results go to `out`, complaints to `err`.
//           Exit codes: 0 done; 1 not found or refused; 2 usage; 3 no node answers; 75 a part of
//           the pool did not answer, which `err` names.
// Bounds    Listings are printed page by page.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "proto/types/result.h"
#include "proto/types/time.h"

namespace CLI {
class App;
}

namespace posthorse::admin {

struct AdminCliContext {
    // The socket that the configuration names. Asked only when --socket is not given.
    std::function<Result<std::string>()> socket_path;
    const Clock& clock;
    std::istream& in;  // ids, one a line, where the command line says "-"
    std::ostream& out;
    std::ostream& err;
    bool interactive = false;  // somebody at `in` can answer a question
    int exit_code = 0;         // of the command that ran
};

// `context` must outlive every parse of `app`.
void add_admin_commands(CLI::App& app, AdminCliContext& context);
// To the group of commands about the pool, of which others need no node.
void add_pool_status(CLI::App& pool, AdminCliContext& context);

}  // namespace posthorse::admin
