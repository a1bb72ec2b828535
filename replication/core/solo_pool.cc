#include "replication/core/solo_pool.h"

#include "proto/types/assert.h"

namespace posthorse::replication {

PoolState begin_pool(std::string pool_id, NodeId self, std::string name) {
    PoolState pool;
    pool.pool_id = std::move(pool_id);
    Member member;
    member.id = self;
    member.facts.name = std::move(name);
    member.live = true;
    pool.members.push_back(std::move(member));
    for (std::uint32_t number = 1; number <= solo_open_partitions + 1; ++number) {
        PartitionState partition;
        partition.id = {number};
        partition.owner = self;
        partition.in_sync = {self};
        partition.solo = number > solo_open_partitions;
        pool.partitions.push_back(std::move(partition));
    }
    pool.next_partition = {solo_open_partitions + 2};
    return pool;
}

PoolState begin_incarnation(PoolState pool, NodeId self, std::uint64_t random) {
    PH_ASSERT(pool.members.size() == 1 && pool.members.front().id == self);
    ++pool.version.value;
    auto& incarnation = pool.members.front().incarnation;
    incarnation = {incarnation.counter + 1, random};
    for (auto& partition : pool.partitions) {
        PH_ASSERT(partition.owner == self);
        ++partition.epoch.value;
    }
    return pool;
}

}  // namespace posthorse::replication
