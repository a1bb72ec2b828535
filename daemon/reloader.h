// What a node reads anew at SIGHUP, or at an operator's word.
//
// Place     Wiring, as node.cc, which owns it.
// Contract  Certificates, logins, keys, maps, routes and who is an operator take effect at once;
//           what cannot be read leaves what was there before. Other settings wait for the next
//           start, and are named.
// Owner     Node; on home. The references outlive it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/admin/admin_server.h"
#include "daemon/config/config.h"
#include "daemon/materials.h"
#include "daemon/pool_membership.h"
#include "daemon/schedule/scheduler.h"
#include "daemon/verify/verifier.h"

namespace posthorse {

class Reloader {
public:
    struct Parts {
        Materials& materials;
        verify::Verifier* verifier;  // null: no listener verifies
        PoolMembership& pool;
        admin::AdminServer& admin;
        schedule::Scheduler& scheduler;
    };
    Reloader(const config::Config& config, std::string config_file, Parts parts);

    enum class When : std::uint8_t {
        starting,  // there is no before: what can be read counts
        serving,
    };
    // What was wrong, for operators; it is in the log as well.
    std::vector<std::string> reload(When when);

private:
    void reload_routes(When when, std::vector<std::string>& problems);
    void reload_settings(std::vector<std::string>& problems);

    const config::Config& config_;
    const std::string config_file_;
    const Parts parts_;
};

}  // namespace posthorse
