// What surrounds a simulated node: shared by all of them, for one run.
#pragma once

#include <functional>

#include "replication/replicated_queue.h"
#include "tests/sim/control/journal.h"
#include "tests/sim/pool/counts.h"
#include "tests/sim/pool/history.h"
#include "tests/sim/pool/remote.h"
#include "tests/sim/pool/streams.h"

namespace posthorse::sim::pool {

// Who holds which message, as one sees it who sees all.
class Overseer {
public:
    virtual ~Overseer() = default;
    // Somebody may have seen a newer committed value.
    virtual void stepped(const SimControl& control) = 0;
    // Does the newest value give the message's partition to this start of this node?
    virtual bool owns(const SimControl& control, QueueId id) const = 0;
    // Of the partition's holders by the newest value: has each the message on its disk?
    virtual std::vector<Custody> custody(const Envelope& envelope) const = 0;
    // A holder that does not know of the attempt, though its power has not failed since then.
    virtual std::optional<std::string> ignorant(QueueId id,
                                                std::uint32_t attempt,
                                                BootTime since) const = 0;
};

struct Surroundings {
    World& world;
    control::Journal& journal;
    control::Network& network;
    StreamNetwork& streams;
    Remote& remote;
    History& history;
    Counts& counts;
    Overseer& overseer;
    // Of every node of the run; `random` is of the world.
    replication::ReplicatedQueue::Settings queue;
};

}  // namespace posthorse::sim::pool
