// The control plane that needs no other process: core/control_core.h with a disk, a clock and
// peers.
//
// Place     replication/membership_control.h for every node, alone or not, whose pool decides by
//           itself. node.cc gives it the ways to peers (peer_network.h), to the DNS and to the
//           queue's store.
// Contract  control_driver.h; nothing is said to a peer before the watcher has stopped what this
//           node does not own any more, and the record is on the disk.
// Owner     node.cc. Every call on home. Outlives nothing that it was given.
// Errors    open(): the record is not readable. It is never replaced by a fresh one, which would
//           forget what this node promised.
#pragma once

#include "replication/edge/control_driver.h"

namespace posthorse::replication {

class EmbeddedControl final : public ControlDriver<ControlCore> {
public:
    using Discovered = std::function<void(std::vector<std::string> addresses, bool complete)>;
    // As ControlPorts, with the ways of this control plane.
    struct Ports {
        Executor& home;
        Executor& disk;
        const Clock& clock;
        std::function<std::uint64_t()> random;
        std::function<void(Outgoing)> send;    // to a peer; may be lost
        std::function<void(Discovered)> look;  // where pool.join leads
        std::function<void(Completion<>)> probe;
        std::function<void(ControlNotice)> notice;
        std::function<void(std::string)> stranger;
        std::function<void(Error)> failed;
        std::function<void(PoolControl, Passed)> moved;
    };

    // `directory` is made when it is not there, mode 0700.
    static Result<std::unique_ptr<EmbeddedControl>> open(std::string directory,
                                                         ControlCore::Settings settings,
                                                         Ports ports);
    // Where another control plane ended.
    static std::unique_ptr<EmbeddedControl> go_on(std::string directory,
                                                  Passed passed,
                                                  ControlCore::Settings settings,
                                                  Ports ports);

    bool unevictable() const override { return core().unevictable(); }
    void receive(const Header& header,
                 const Message& message,
                 UniqueFunction<void(Refusal)> verdict) override;
    Refusal judge(const Header& header) const override;
    bool leads() const { return core().leads(); }

private:
    EmbeddedControl(std::string directory,
                    ControlRecord record,
                    ControlCore::Settings settings,
                    Ports ports);
    void say(ControlEffects& effects) override;
    void look();

    const std::function<void(Outgoing)> send_;
    const std::function<void(Discovered)> look_;
};

}  // namespace posthorse::replication
