// The control plane of one simulated node: the production core with a simulated disk, clock and
// network around it, as replication/edge/embedded_control.h has real ones.
//
// Contract  Effects of the core are carried out in their order, those of one event before those of
//           the next. A record that is being written when the process ends is on the disk or not.
// Owner     Node.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replication/control_plane.h"
#include "replication/core/control_core.h"
#include "tests/sim/control/network.h"
#include "tests/sim/pool/process.h"

namespace posthorse::sim::pool {

using replication::ControlCore;
using replication::ControlEffects;
using replication::ControlRecord;
using replication::PoolState;

class SimControl final : public replication::ControlPlane {
public:
    struct Ports {
        Process& process;
        const Clock& clock;
        const DiskPace& disk;
        ControlRecord& record;  // on the disk
        std::function<void(replication::Outgoing)> send;
        std::function<std::vector<std::string>()> look;
        std::function<void(Completion<>)> probe;
        std::function<void(const std::string&)> notice;
        std::function<void()> stepped;  // something may have been learned
        std::function<void(std::string)> stranger;
    };

    SimControl(Ports ports, ControlCore::Settings settings);
    // Before it goes: what was being written may have been.
    void lose_power_or_not();

    // --- ControlPlane
    void start(Completion<PoolState> done) override;
    const PoolState& read() const override { return core_.acting(); }
    void watch(UniqueFunction<void(const PoolState&)> changed) override {
        changed_ = std::move(changed);
    }
    void propose(replication::Change change, Completion<> done) override;
    bool lease_live(BootTime now, Duration margin) const override {
        return !ended_ && core_.lease_live(now, margin);
    }
    bool unevictable() const override { return core_.unevictable(); }
    NodeId self() const override { return core_.self(); }
    Incarnation incarnation() const override { return core_.incarnation(); }

    void receive(const replication::Outgoing& message);
    void leave(Completion<> done);
    // --- for streams
    bool accepts(const replication::Header& header) const;
    replication::Header header(std::optional<NodeId> to) const { return core_.header(to); }

    const ControlCore& core() const { return core_; }

private:
    template <class Event>  // takes its time and the effects
    void step(Event event);
    void tick();
    void carry_out(ControlEffects effects);
    void carry_out_one(ControlEffects effects);
    void write(ControlRecord record);
    void written();
    void look();
    void probe();
    void end();

    const Ports ports_;
    ControlCore core_;
    UniqueFunction<void(const PoolState&)> changed_;
    Completion<PoolState> started_;
    Completion<> left_;
    std::map<std::uint64_t, Completion<>> asked_;
    std::optional<ControlRecord> writing_;
    std::deque<ControlEffects> effects_;
    bool carrying_out_ = false;
    bool ended_ = false;
};

}  // namespace posthorse::sim::pool
