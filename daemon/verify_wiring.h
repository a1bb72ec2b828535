// From the configuration to the verifier.
//
// Place     node.cc alone.
#pragma once

#include <memory>
#include <vector>

#include "daemon/config/config.h"
#include "daemon/verify/verifier.h"

namespace posthorse {

// Null: no listener verifies.
std::unique_ptr<verify::Verifier> make_verifier(const config::Config& config,
                                                const std::vector<runtime::Shard*>& shards,
                                                const Clock& clock,
                                                runtime::Metrics& metrics);

}  // namespace posthorse
