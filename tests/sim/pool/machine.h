// One machine: its clocks, its disk, and the node that runs on it, or not.
//
// Place     Pool holds all machines; scenarios act on them.
// Contract  What the disk has outlives processes. A kill leaves what the process wrote; when the
//           power fails, what was not synced is gone but for some of the first of it. A node whose
//           disk failed ends as if the power had failed.
// Owner     Pool.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "storage/memory_store.h"
#include "tests/sim/pool/node.h"

namespace posthorse::sim::pool {

class Pool;

class MachineClock final : public Clock {
public:
    MachineClock(const World& world, LocalClock boot) : world_(world), boot_(boot) {}
    WallTime wall() const override { return world_.wall() + wall_offset_; }
    BootTime boot() const override { return boot_.at(world_.boot()); }
    void jump_wall(Duration by) { wall_offset_ += by; }
    void set_wall() { wall_offset_ = {}; }

private:
    const World& world_;
    const LocalClock boot_;
    Duration wall_offset_{};
};

// All that a machine's disk holds.
struct Disk {
    storage::MemoryDisk queue;
    ControlRecord record;
};

class Machine {
public:
    struct Setup {
        std::size_t index = 0;
        std::string address;
        std::string zone;
        bool alone = false;
        std::uint32_t expect = 0;
        LocalClock clock;
    };

    Machine(Pool& pool, Setup setup);
    ~Machine();

    // --- what befalls it
    void boot();
    void boot_after(Duration delay);
    void kill();
    void lose_power();
    void pause();
    void go_on();
    void fail_next_sync();
    void leave(Duration patience);
    void pace(DiskPace pace) { pace_ = pace; }
    // For each round of writes anew: nothing fills up.
    void limit_room(std::uint64_t free_bytes) { disk_->queue.faults.free_bytes = free_bytes; }
    void jump_wall(Duration by) { clock_.jump_wall(by); }
    void set_wall() { clock_.set_wall(); }
    // Requires that it does not run.
    void replace_disk();
    void restore(const Disk& old);
    // The bytes of a record rot.
    void damage(QueueId id);

    // --- as it is
    std::size_t index() const { return setup_.index; }
    const std::string& address() const { return setup_.address; }
    std::string label() const;
    std::string story() const;  // phase, term, leader, voters
    bool runs() const { return node_ != nullptr; }
    // Nobody else knows what the pool is.
    bool votes_alone() const {
        const std::vector<NodeId> alone{id()};
        return disk_->record.agreement.accepted.configuration.voters == alone;
    }
    bool paused() const { return node_ && node_->process().paused(); }
    // Takes mail.
    bool serves() const { return node_ && node_->up() && !paused() && !node_->leaving(); }
    Node* node() { return node_.get(); }
    const Node* node() const { return node_.get(); }
    NodeId id() const { return disk_->record.self; }
    const Disk& disk() const { return *disk_; }
    BootTime now() const { return clock_.boot(); }
    // It holds less than what it once said that it has.
    bool went_back() const { return went_back_; }
    BootTime power_failed() const { return power_failed_; }

    bool held = false;     // off until the trouble ends
    bool retired = false;  // off for good
    bool left_all = true;  // when it left: nothing was here alone

private:
    void end();
    void power_fails();
    void watch_health();
    void left(bool all);
    void become_stranger(const std::string& why);
    ControlCore::Settings control_settings() const;

    Pool& pool_;
    World& world_;
    Setup setup_;
    MachineClock clock_;
    DiskPace pace_;
    std::unique_ptr<Disk> disk_ = std::make_unique<Disk>();
    std::uint64_t disks_ = 0;
    bool went_back_ = false;
    BootTime power_failed_{};
    std::uint64_t starts_ = 0;
    std::unique_ptr<Node> node_;
};

}  // namespace posthorse::sim::pool
