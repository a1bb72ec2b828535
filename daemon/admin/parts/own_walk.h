// One step over the messages that this node owns, in the order of their ids.
//
// Place     Under own_part.h: each of its calls that walks the queue does it with this.
// Contract  `visit` is called with one message after the other until it has enough, the step has
//           looked at walk_messages_max of them or has taken walk_time, or there are no more. Then
//           `done` says how far it came and which partitions this node owned all the time.
// Owner     Itself, until `done` is called. Home executor; what it refers to outlives it.
// Bounds    A page of envelopes in memory.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "daemon/admin/parts/queue_ports.h"
#include "daemon/admin/pool_reader.h"
#include "posthorse/v1/node_queue.pb.h"
#include "proto/types/time.h"

namespace posthorse::admin {

// Envelopes at once; also how many actions are under way at once.
inline constexpr std::size_t page_messages = 100;
// A peer that is healthy, and busy with a long queue, must not look as if it were dead.
inline constexpr std::size_t walk_messages_max = 20'000;
inline constexpr Duration walk_time = std::chrono::milliseconds{300};

class OwnWalk : public std::enable_shared_from_this<OwnWalk> {
public:
    enum class Visited : std::uint8_t { go_on, enough };
    using Visit = std::function<Visited(const Envelope&)>;
    struct Sources {
        const Clock& clock;
        const QueuePorts& queue;
        const PoolReader& pool;
    };

    static void start(const Sources& sources,
                      QueueId after,
                      Visit visit,
                      Completion<v1::Walked> done);

    // For start() alone.
    OwnWalk(const Sources& sources, QueueId after, Visit visit, Completion<v1::Walked> done);

private:
    void next_page();
    void look_at(const std::vector<Envelope>& page);
    void end(bool at_end);

    const Sources sources_;
    const BootTime began_;
    QueueId after_;
    Visit visit_;
    Completion<v1::Walked> done_;
    std::set<PartitionId> owned_;
    std::size_t looked_at_ = 0;
};

// The partitions that this node owns and has taken up.
std::set<PartitionId> owned_partitions(const QueuePorts& queue, const PoolReader& pool);
// Those of `before` that it owns still.
v1::Walked owned_still(const std::set<PartitionId>& before, const OwnWalk::Sources& sources);

}  // namespace posthorse::admin
