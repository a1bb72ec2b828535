// One start of a node: the production queue and scheduler core, on simulated disk, time and
// network. Destroying it is `kill -9`.
//
// Place     Between simulation.h and the parts under test: storage/record_store over a MemoryDisk,
//           replication/replicated_queue, daemon/schedule/schedule_core and
//           daemon/report/settle_decision. What the daemon does with sockets and timers
//           (intake, scheduler.cc, delivery) is played here, in as few lines.
// Owner     One Simulation, for one life.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/schedule/schedule_core.h"
#include "replication/replicated_queue.h"
#include "storage/memory_store.h"
#include "tests/sim/history.h"
#include "tests/sim/pool.h"
#include "tests/sim/remote.h"
#include "tests/sim/world.h"

namespace posthorse::sim {

// What outlives a node.
struct Surroundings {
    World& world;
    storage::MemoryDisk& disk;
    SimControl& control;
    SimHolder& holder;
    Remote& remote;
    History& history;
};

enum class IntentHabit : std::uint8_t {
    recorded,
    forgotten,  // a mutant: says that it wrote the intent, and did not
};

class Node {
public:
    // `accepted`: the client heard 250; false: it heard another reply.
    using Heard = UniqueFunction<void(bool accepted)>;

    Node(Surroundings around, IntentHabit intents);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    // Sends one message of `chunks` chunks beside its head. Nothing is heard when the node dies.
    void submit(Envelope envelope, Heard heard);
    void act(QueueId id, replication::Action action);
    bool healthy() const { return store_->healthy(); }
    bool up() const { return up_; }

private:
    struct Attempt {
        WorkerId worker;
        DeliveryJob job;
        Envelope claimed;
        AttemptNumber number = 0;
        std::uint32_t next_chunk = 0;
        std::vector<Answer> answers;  // what the remote decided, when it had the message
    };
    using AttemptRef = std::shared_ptr<Attempt>;

    schedule::Now now() const { return {around_.world.wall(), around_.world.boot()}; }
    void tick();
    void acted(QueueId id, replication::Action action);
    void append(const Envelope& envelope, std::uint32_t index, std::shared_ptr<Heard> heard);
    void commit(const Envelope& envelope, std::shared_ptr<Heard> heard);
    void accepted(const Envelope& envelope);

    void pump();
    void sleep_until_due();
    void offer(Envelope envelope);
    void carry_out(schedule::Effects effects);
    void report(Ended ended);
    NewMessage bounce(const Envelope& cause, const std::vector<std::uint32_t>& recipients) const;

    void connect(AttemptRef attempt);
    void read_body(AttemptRef attempt);
    void send_dot(AttemptRef attempt);
    void reply(AttemptRef attempt);
    void defer(AttemptRef attempt, std::string why, DestinationHealth health);
    void end(AttemptRef attempt, JobResult result, WorkerAfter after);
    JobResult result_of(const Attempt& attempt) const;

    Surroundings around_;
    Life life_;
    LifeExecutor home_;
    LifeExecutor pace_;
    std::unique_ptr<storage::QueueStore> store_;
    std::unique_ptr<replication::ReplicatedQueue> queue_;
    schedule::ScheduleCore core_;
    bool up_ = false;
    bool claiming_ = false;
    std::uint64_t sleeping_ = 0;  // number of the newest sleep
    std::map<QueueId, Envelope> active_;
    std::map<QueueId, std::map<std::uint32_t, AttemptNumber>> sent_;  // by attempt of the message
};

}  // namespace posthorse::sim
