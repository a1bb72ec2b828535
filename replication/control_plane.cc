#include "replication/control_plane.h"

#include <algorithm>

namespace posthorse::replication {

const PartitionState* PoolState::find(PartitionId id) const {
    const auto found = std::find_if(partitions.begin(), partitions.end(),
                                    [id](const auto& partition) { return partition.id == id; });
    return found == partitions.end() ? nullptr : &*found;
}

}  // namespace posthorse::replication
