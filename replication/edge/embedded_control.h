// The control plane that needs no other process: core/control_core.h with a disk, a clock and
// peers.
//
// Place     replication/membership_control.h for every node, alone or not. node.cc gives it the
// ways to
//           peers (peer_network.h), to the DNS and to the queue's store.
// Contract  Effects of the core are carried out in their order, those of one event before those of
//           the next: the watcher has stopped what this node does not own any more, and the record
//           is on the disk, before anything is said that depends on it.
//           start() completes when this incarnation is live in its pool.
//           The record is written on `disk`, everything else happens on home.
// Owner     node.cc. Every call on home. Outlives nothing that it was given.
// Errors    open(): the record is not readable. It is never replaced by a fresh one, which would
//           forget what this node promised. A write that fails calls `failed`: a node that cannot
//           remember must not go on.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "proto/types/executor.h"
#include "replication/core/control_core.h"
#include "replication/membership_control.h"

namespace posthorse::replication {

class EmbeddedControl final : public MembershipControl {
public:
    using Discovered = std::function<void(std::vector<std::string> addresses, bool complete)>;
    struct Ports {
        Executor& home;
        Executor& disk;
        const Clock& clock;
        std::function<std::uint64_t()> random;
        std::function<void(Outgoing)> send;       // to a peer; may be lost
        std::function<void(Discovered)> look;     // where pool.join leads
        std::function<void(Completion<>)> probe;  // a synced write of the queue's store
        std::function<void(ControlNotice)> notice;
        // This node must end, and begin as a new one: why. It is written down already.
        std::function<void(std::string)> stranger;
        std::function<void(Error)> failed;
    };

    // `directory` is made when it is not there, mode 0700.
    static Result<std::unique_ptr<EmbeddedControl>> open(std::string directory,
                                                         ControlCore::Settings settings,
                                                         Ports ports);

    void start(Completion<PoolState> done) override;
    const PoolState& read() const override { return core_.acting(); }
    void watch(UniqueFunction<void(const PoolState&)> changed) override;
    void propose(Change change, Completion<> done) override;
    bool lease_live(BootTime now, Duration margin) const override;
    bool unevictable() const override { return core_.unevictable(); }
    bool leased(BootTime now) const override { return core_.leased(now); }
    NodeId self() const override { return core_.self(); }
    Incarnation incarnation() const override { return core_.incarnation(); }

    void tick() override;
    void receive(const Header& header,
                 const Message& message,
                 UniqueFunction<void(Refusal)> verdict) override;
    Refusal judge(const Header& header) const override;
    Header header(std::optional<NodeId> to) const override { return core_.header(to); }
    void leave(Completion<> done) override;
    const std::vector<PartitionId>& left_with() const override { return core_.left_with(); }
    Result<void> begin_without(const std::vector<NodeId>& others) override;
    const PoolState& committed() const override { return core_.committed(); }
    ControlStatus status() const override { return core_.status(ports_.clock.boot()); }
    bool leads() const { return core_.leads(); }

private:
    EmbeddedControl(std::string directory,
                    ControlRecord record,
                    ControlCore::Settings settings,
                    Ports ports);

    template <class Call>
    auto while_alive(Call call);
    void carry_out(ControlEffects effects);
    void carry_out_one(ControlEffects effects);
    void write(ControlRecord record);
    void look();
    void probe();
    void end();
    void became_stranger(const std::string& why);

    const std::string directory_;
    const Ports ports_;
    ControlCore core_;
    UniqueFunction<void(const PoolState&)> changed_;
    Completion<PoolState> started_;
    Completion<> left_;
    std::map<std::uint64_t, Completion<>> asked_;
    std::deque<ControlEffects> effects_;
    bool carrying_out_ = false;
    bool ended_ = false;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace posthorse::replication
