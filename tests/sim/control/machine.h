// One machine: its clock, its disk, its process (the production ControlCore), and the part of the
// node that carries out what the core says.
//
// Place     Driven by the World's events; Pool holds all machines.
// Contract  Effects are carried out in the documented order: changed, write, sends. The process
// ends
//           by crash(), and a write that is not on the disk by then is lost or not, by chance.
//           While it is paused it gets no event, then all of them late; its clock and disk go on.
//           Owns nothing that it handed over: see DataPlane.
// Owner     Pool.
#pragma once

#include <ctime>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "replication/core/control_core.h"
#include "tests/sim/control/data_plane.h"
#include "tests/sim/control/network.h"

namespace posthorse::sim::control {

using replication::ControlCore;
using replication::ControlEffects;
using replication::ControlRecord;

class Checker;
class Pool;

enum class DiskHabit : std::uint8_t { good, slow, hangs };
// What a disk is, compared with what the pool last saw of it.
enum class DiskPast : std::uint8_t {
    true_to_it,
    doubtful,  // behind, but by nothing that the pool has recorded: it may be found out
    went_back,
    is_a_copy,
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
    struct Directory {  // what pool.join names for this machine
        std::vector<std::string> addresses;
        std::uint32_t incomplete = 0;  // lookups in a hundred that say that they are not all
        std::uint32_t partial = 0;     // lookups in a hundred that leave addresses out, unsaid
    };

    Machine(Pool& pool, Setup setup);
    ~Machine();

    // --- the operator
    void boot();
    void crash();
    void pause();
    void resume();
    void begin_leaving();
    // An empty disk: another node. Requires that no process runs.
    void replace_disk();
    void restore(ControlRecord record, DiskPast past);
    ControlRecord disk() const { return disk_; }
    void set_disk(DiskHabit habit);
    bool begin_without(const std::vector<NodeId>& others);
    void remove_member(const NodeId& node);
    void set_draining(const NodeId& node, bool draining);

    // --- as it is
    std::size_t index() const { return setup_.index; }
    const std::string& address() const { return setup_.address; }
    bool up() const { return core_ != nullptr; }
    bool paused() const { return paused_; }
    bool leaving() const { return leaving_; }
    const ControlCore& core() const { return *core_; }
    BootTime now() const;
    bool votes_alone() const;
    NodeId node() const { return disk_.self; }
    DiskPast past() const { return past_; }
    std::string label() const;
    std::string story() const;  // phase, term, leader
    bool waits_since(BootTime before) const { return data_plane_->waits_since(before); }
    std::uint64_t starts() const { return starts_; }

    // Its partitions, sorted; those it handed over are not among them.
    const std::vector<PartitionId>& claims() const { return claims_; }
    bool entitled() const;
    bool owns(PartitionId partition) const;

    // What its core has worked since the last call, of all its processes: Pool::measures_work.
    struct Work {
        std::uint64_t events = 0;
        std::clock_t processor = 0;  // of CLOCKS_PER_SEC
        std::clock_t longest = 0;    // of one event
    };
    Work take_work() { return std::exchange(work_, {}); }

    Directory directory;
    bool retired = false;           // it need not be there at the end
    bool held = false;              // off until all trouble ends
    bool probe_hangs = false;       // its store does not sync
    bool ignores_changes = false;   // its data plane hangs
    std::optional<BootTime> left;   // when it left, real time
    std::optional<BootTime> asked;  // since when it wants to leave

private:
    friend class DataPlane;

    template <class Event>  // takes its time and the effects
    void step(Event event) {
        if (!up()) return;
        ControlEffects out;
        const auto began = work_begins();
        event(now(), out);
        if (began) work_ends(*began);
        carry_out(out);
    }
    std::optional<std::clock_t> work_begins() const;
    void work_ends(std::clock_t began);
    void carry_out(ControlEffects& out);
    void operate(Change change);
    void take_changes();
    void schedule_tick();
    void start_write(ControlRecord record);
    void finish_write();
    void look();
    void probe();
    void become_stranger(const std::string& why);
    void go();
    // Runs it now, or after the pause.
    void when_awake(UniqueFunction<void()> event);
    void after(Duration delay, UniqueFunction<void()> event);
    void refresh_claims();

    Pool& pool_;
    World& world_;
    Setup setup_;
    // --- what stays
    ControlRecord disk_;
    DiskPast past_ = DiskPast::true_to_it;
    DiskHabit habit_ = DiskHabit::good;
    std::uint64_t disks_ = 0;
    std::uint64_t starts_ = 0;
    Work work_;
    // --- the process
    std::unique_ptr<Life> life_;
    std::unique_ptr<ControlCore> core_;
    std::unique_ptr<DataPlane> data_plane_;
    std::optional<ControlRecord> writing_;
    bool write_waits_ = false;  // it would be done, but for a hanging disk
    bool paused_ = false;
    bool leaving_ = false;
    bool gone_ = false;  // it stopped owning and asked to leave
    std::deque<UniqueFunction<void()>> late_;
    std::vector<PartitionId> claims_;
};

}  // namespace posthorse::sim::control
