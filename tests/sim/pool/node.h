// One start of a node: the production queue, control plane and scheduler core, on simulated disk,
// time and network. Destroying it is `kill -9`.
//
// Place     Between machine.h, which has what outlives it, and the parts under test: storage over a
//           MemoryDisk, replication/ without its edge, and, in courier.h, the scheduler. What the
//           daemon does with sockets and timers (node.cc, intake) is played here.
// Owner     Machine, for one start.
#pragma once

#include <memory>
#include <string>

#include "replication/replicated_queue.h"
#include "storage/memory_store.h"
#include "tests/sim/pool/courier.h"
#include "tests/sim/pool/history.h"
#include "tests/sim/pool/process.h"
#include "tests/sim/pool/remote.h"
#include "tests/sim/pool/sim_control.h"
#include "tests/sim/pool/streams.h"
#include "tests/sim/pool/surroundings.h"

namespace posthorse::sim::pool {

class Node {
public:
    // `accepted`: the client heard 250; false: it heard another reply.
    using Heard = UniqueFunction<void(bool accepted)>;

    // What is the machine's, and outlives it.
    struct Place {
        std::size_t machine = 0;
        std::string name;  // of this start, for stories
        ProcessNumber number = 0;
        const Clock& clock;
        const DiskPace& pace;
        storage::MemoryDisk& queue;
        ControlRecord& record;
        ControlCore::Settings control;
        std::function<std::vector<std::string>()> look;
        std::function<void(const std::string& why)> stranger;
    };

    Node(Surroundings& around, Place place);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    void start();
    // Sends one message of `chunks` chunks beside its head. Nothing is heard when the node dies.
    void submit(Envelope envelope, std::uint32_t copies, Heard heard);
    void act(QueueId id, replication::Action action);
    // Hands over what can be handed over, and goes. `all`: no message is here alone.
    void leave(Duration patience, UniqueFunction<void(bool all)> gone);
    void receive(const replication::Outgoing& message);
    // The power fails under it: nobody is told.
    void fall_silent() { streams_->fall_silent(); }

    Process& process() { return process_; }
    const Process& process() const { return process_; }
    SimControl& control() { return *control_; }
    const SimControl& control() const { return *control_; }
    replication::ReplicatedQueue& queue() { return *queue_; }
    const replication::ReplicatedQueue& queue() const { return *queue_; }
    storage::QueueStore& store() { return *store_; }
    bool healthy() const { return store_->healthy(); }
    bool up() const { return up_; }
    bool leaving() const { return leaving_; }

private:
    void open_store();
    void open_control();
    void open_queue();
    void tick();
    void judge_draining();
    void append(const Envelope& envelope, std::uint32_t index, std::shared_ptr<Heard> heard);
    void commit(const Envelope& envelope, std::shared_ptr<Heard> heard);
    void accepted(const Envelope& envelope);
    void go_on_leaving(BootTime until, std::shared_ptr<UniqueFunction<void(bool)>> gone);

    Surroundings& around_;
    const Place place_;
    Process process_;
    HomeExecutor home_;
    DiskExecutor disk_;
    std::unique_ptr<storage::QueueStore> store_;
    std::unique_ptr<SimControl> control_;
    std::unique_ptr<SimStreams> streams_;
    std::unique_ptr<replication::ReplicatedQueue> queue_;
    std::unique_ptr<Courier> courier_;
    bool up_ = false;
    bool leaving_ = false;
    bool draining_ = false;
};

// What a body holds follows from its name, so that any chunk of it can be checked.
Chunk text_of(const Envelope& envelope, std::uint32_t index);

}  // namespace posthorse::sim::pool
