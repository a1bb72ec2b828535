// What the pool counts together: ask, count, be answered.
//
// Place     Between who limits something (daemon/intake) and other nodes; joins count_core.h to a
//           clock, the pool's value and a way to peers.
// Contract  count() is known here at once, and everywhere within a tick and a round trip. ask()
//           answers at once when a home told the counts a moment ago, else when it does, and after
//           `patience` in any case: by what a home told lately, or else degraded, by this node's
//           share.
//           Without other members everything is known here.
// Owner     node.cc; every call on home. What waits is answered before stop() returns.
#pragma once

#include <functional>
#include <list>
#include <string>
#include <vector>

#include "proto/types/function.h"
#include "proto/types/result.h"
#include "proto/types/time.h"
#include "replication/core/pool_state.h"
#include "replication/counting/count_core.h"

namespace posthorse::replication {

class PoolCounts {
public:
    struct Ports {
        const Clock& clock;
        std::function<const PoolState&()> pool;
        // To a live member's peer port.
        std::function<void(
            const Member& to, CountBatch batch, Completion<std::vector<std::uint64_t>> others)>
            send;
    };
    using Levels = std::vector<CountLevel>;  // key by key
    static constexpr Duration patience = std::chrono::milliseconds{400};

    PoolCounts(NodeId self, Ports ports, CountCore::Settings settings = {});

    void count(const CountKey& key, std::uint64_t amount = 1);
    void ask(std::vector<CountKey> keys, UniqueFunction<void(Levels)> answer);
    void tick();
    std::vector<std::uint64_t> receive(const NodeId& from, const CountBatch& batch);
    void stop();

    const CountCore& core() const noexcept { return core_; }
    std::uint64_t degraded_answers() const noexcept { return degraded_answers_; }

private:
    struct Question {
        std::vector<CountKey> keys;
        UniqueFunction<void(Levels)> answer;
        BootTime until;
    };

    CountCore::Now now() const;
    void follow_pool();
    void tell();
    Levels look(const std::vector<CountKey>& keys);
    void answer_what_is_known(BootTime at);

    const NodeId self_;
    const Ports ports_;
    CountCore core_;
    std::list<Question> questions_;
    std::uint64_t degraded_answers_ = 0;
};

}  // namespace posthorse::replication
