// A frame as a line of a story.
#pragma once

#include <string>

#include "replication/core/data_message.h"

namespace posthorse::sim::pool {

std::string to_text(const replication::Frame& frame);

}  // namespace posthorse::sim::pool
