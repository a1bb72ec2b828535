// The control plane of a pool of one: the agreed value is a file.
//
// Place     replication/control_plane.h for a node without `pool.join`.
// Contract  start() begins a new incarnation and completes after the new state is synced to disk.
//           The lease is always live: nobody else could take over. propose() always fails with
//           `conflict`: a pool of one has nothing to agree on.
// Errors    corrupt: the file is there and cannot be read back; the error names it. It is never
//           replaced by a fresh one, which would forget the epochs.
#pragma once

#include <string>

#include "proto/types/executor.h"
#include "replication/control_plane.h"

namespace posthorse::replication {

class SoloControl final : public ControlPlane {
public:
    struct Settings {
        std::string directory;  // made when it is not there, mode 0700
        std::string name;       // the node's, for people
    };

    // Reads the file or, when there is none, makes a new node and pool from `random` numbers.
    static Result<std::unique_ptr<SoloControl>> open(Settings settings,
                                                     Executor& home,
                                                     UniqueFunction<std::uint64_t()> random);

    void start(Completion<PoolState> done) override;
    const PoolState& read() const override { return pool_; }
    void watch(UniqueFunction<void(const PoolState&)> changed) override;
    void propose(Change change, Completion<> done) override;
    bool lease_live(BootTime, Duration) const override { return started_; }
    NodeId self() const override { return self_; }
    Incarnation incarnation() const override;

private:
    SoloControl(Settings settings, Executor& home, UniqueFunction<std::uint64_t()> random);
    Result<void> load();
    Result<void> save() const;

    Settings settings_;
    Executor& home_;
    UniqueFunction<std::uint64_t()> random_;
    NodeId self_;
    PoolState pool_;
    bool started_ = false;
    UniqueFunction<void(const PoolState&)> changed_;
};

}  // namespace posthorse::replication
