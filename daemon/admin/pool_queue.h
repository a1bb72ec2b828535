// The queue of the whole pool: its parts, and which of them a message is in.
//
// Place     Between the calls of admin_calls.h and the parts (parts/queue_part.h). The pool's value
//           says who owns what; nobody is asked for it.
// Contract  In a pool of one nothing but this node's own part is ever asked. Every node that owns a
//           partition has a part, also one that is dead and not evicted yet: asking it fails then.
// Owner     node.cc. Home executor.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/admin/parts/queue_part.h"
#include "daemon/admin/pool_reader.h"
#include "proto/types/time.h"

namespace posthorse::admin {

// How long another node has for one step.
inline constexpr Duration patience_to_show = std::chrono::seconds{2};
// A change waits until other holders have it, and for a second until a dead one is given up.
inline constexpr Duration patience_to_change = std::chrono::seconds{5};

class PoolQueue {
public:
    // Of another node, each answer within `patience`.
    using Peer = std::function<std::shared_ptr<QueuePart>(const replication::Member& member,
                                                          Duration patience)>;
    struct Part {
        NodeId node;
        std::string title;  // of the node, for errors
        std::shared_ptr<QueuePart> part;
        v1::NodeCaller caller;

        template <class Request, class Done>
        void ask(Request request, Done done) const {
            *request.mutable_caller() = caller;
            part->ask(std::move(request), std::move(done));
        }
    };

    // `own` must outlive the parts.
    PoolQueue(PoolReader pool, QueuePart& own, Peer peer);

    const replication::PoolState& pool() const { return pool_.committed(); }
    // Of every node that owns something.
    std::vector<Part> parts(Duration patience) const;
    // not_found: the pool has no such partition. unavailable: it has no live owner.
    Result<Part> part_of(QueueId id, Duration patience) const;

private:
    std::optional<Part> part(const NodeId& owner, Duration patience) const;

    const PoolReader pool_;
    QueuePart& own_;
    const Peer peer_;
};

}  // namespace posthorse::admin
