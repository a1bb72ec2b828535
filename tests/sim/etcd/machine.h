// One machine: its clock, its disk, its process (the production EtcdCore), its edge to etcd, and
// what an owner asks for.
//
// Contract  Effects are carried out in the documented order. A process ends by crash(); a write
//           that is not on the disk by then is lost or not, by chance. While it is paused it gets
//           no event, then all of them late; its clock and its disk go on.
// Owner     Simulation.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replication/core/etcd_core.h"
#include "tests/sim/etcd/server.h"

namespace posthorse::sim::etcd {

using replication::ControlRecord;
using replication::EtcdCore;
using replication::EtcdEffects;

class Checker;

class Machine {
public:
    struct Setup {
        std::size_t index = 0;
        std::uint32_t expect = 0;
        replication::PoolSettings pool;
        LocalClock clock;
    };
    Machine(World& world, control::Journal& journal, Server& server, Checker& checker, Setup setup);

    void boot();
    void crash();
    void pause();
    void resume();
    void leave();
    void replace_disk();  // an empty one: another node
    void restore(ControlRecord record) { disk_ = std::move(record); }
    void server_changed();  // a revision more, or it ended
    void propose(replication::Change change);
    bool begin_without(const std::vector<NodeId>& others);

    bool up() const { return core_ != nullptr; }
    bool paused() const { return paused_; }
    const EtcdCore& core() const { return *core_; }
    const ControlRecord& disk() const { return disk_; }
    NodeId node() const { return disk_.self; }
    std::size_t link() const { return link_; }
    BootTime now() const { return setup_.clock.at(world_.boot()); }
    std::string label() const;
    // Partitions that it would act on, with their epochs.
    const std::map<PartitionId, Epoch>& claims() const { return claims_; }
    bool entitled() const { return up() && !claims_.empty() && core_->lease_live(now(), {}); }

    bool retired = false;    // it need not be there at the end
    bool another_s = false;  // a disk that went back, or a copy
    bool restless = true;    // hands over and narrows for no reason
    bool disk_hangs = false;
    bool ignores_changes = false;
    std::function<void(Machine&)> on_left;

private:
    template <class Event>
    void step(Event event) {
        if (!up()) return;
        EtcdEffects out;
        event(now(), out);
        carry_out(out);
    }
    void carry_out(EtcdEffects& out);
    void take_changes();
    void refresh_claims();
    void when_awake(UniqueFunction<void()> event);
    void after(Duration delay, UniqueFunction<void()> event);
    void schedule_tick();
    void mind_link();
    void go();
    void pull();
    void end_watch(const std::string& why);
    void finish_write();
    void probe();
    void become_stranger(const std::string& why);
    std::optional<replication::Change> wish();
    bool is_busy(PartitionId partition) const;

    World& world_;
    control::Journal& journal_;
    Server& server_;
    Checker& checker_;
    Setup setup_;
    const std::size_t link_;
    ControlRecord disk_;
    std::uint64_t disks_ = 0;
    // --- the process
    std::shared_ptr<Life> life_;
    std::unique_ptr<EtcdCore> core_;
    std::optional<ControlRecord> writing_;
    std::optional<Revision> watch_;
    std::uint64_t watch_life_ = 0;
    bool pulling_ = false;
    BootTime reached_{};  // real time
    bool paused_ = false;
    bool leaving_ = false;
    std::deque<UniqueFunction<void()>> late_;
    std::map<PartitionId, Epoch> claims_;
    std::map<PartitionId, Epoch> handed_;
    std::map<std::uint64_t, PartitionId> asked_;
};

}  // namespace posthorse::sim::etcd
