// A place in the order in which a partition's messages are due.
#pragma once

#include "proto/types/ids.h"
#include "proto/types/time.h"

namespace posthorse::storage {

struct DuePosition {
    WallTime due{};
    QueueId id;
    auto operator<=>(const DuePosition&) const = default;
};

}  // namespace posthorse::storage
