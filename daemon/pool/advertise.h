// Under which address this node tells its peers to reach it.
//
// Place     Asked once by node.cc at a start.
// Contract  advertised() is pure; machine_addresses() is the edge that asks the system.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/config.h"

namespace posthorse::pool {

// The IP addresses of the interfaces that are up, in the system's order; none when it does not say.
std::vector<std::string> machine_addresses();

// "host:port": pool.advertise; without it pool.address; when that is a wildcard, the first address
// of the machine that others can reach: IPv4 before global IPv6 before unique local IPv6, and
// loopback when there is no other.
std::string advertised(const config::Pool& pool, const std::vector<std::string>& machine);

}  // namespace posthorse::pool
