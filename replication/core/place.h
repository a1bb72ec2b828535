// Names a published value of the pool: the term of its leader and its version.
#pragma once

#include "proto/types/ids.h"

namespace posthorse::replication {

struct Place {
    Term term;
    PoolVersion version;
    auto operator<=>(const Place&) const = default;
};

}  // namespace posthorse::replication
