// Doubles of the control plane for tests of the queue: one agreed value, which the test changes,
// and what each node of the pool sees of it.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "proto/types/executor.h"
#include "replication/control_plane.h"
#include "replication/core/placement.h"
#include "tests/unit/replication/core/test_pool.h"

namespace posthorse::tests {

class FakeControl;

// Agrees at once to every change that is legal, and tells every node that listens.
class FakePool {
public:
    explicit FakePool(replication::PoolState value) : value_(std::move(value)) {}

    const replication::PoolState& value() const noexcept { return value_; }
    void become(replication::PoolState next);
    Result<void> change(const replication::Change& what) {
        auto next = replication::changed(value_, what);
        if (!next) return next.error();
        become(*std::move(next));
        return {};
    }
    // What a leader does after every change: opens and closes partitions.
    void tend() {
        for (const auto& one : replication::tend(value_, {})) change(one).value();
    }

private:
    friend class FakeControl;
    replication::PoolState value_;
    std::vector<FakeControl*> nodes_;
};

// The control plane of one start of one node.
class FakeControl : public replication::ControlPlane {
public:
    bool live = true;     // the lease
    bool agrees = true;   // to propose()
    bool answers = true;  // to propose(): the change may be made all the same
    bool hears = true;    // what the pool agreed on
    bool is_unevictable = false;
    std::vector<replication::Change> proposed;

    FakeControl(FakePool& pool, NodeId self, Incarnation incarnation, Executor& home)
        : pool_(pool), seen_(pool.value()), self_(self), incarnation_(incarnation), home_(home) {
        pool_.nodes_.push_back(this);
    }
    ~FakeControl() override { std::erase(pool_.nodes_, this); }
    FakeControl(const FakeControl&) = delete;
    FakeControl& operator=(const FakeControl&) = delete;

    void start(Completion<replication::PoolState> done) override { done(seen_); }
    const replication::PoolState& read() const override { return seen_; }
    void watch(UniqueFunction<void(const replication::PoolState&)> changed) override {
        changed_ = std::move(changed);
    }
    void propose(replication::Change change, Completion<> done) override {
        proposed.push_back(change);
        home_.post([this, alive = std::weak_ptr<char>(alive_), change = std::move(change),
                    done = std::move(done)]() mutable {
            if (alive.expired()) return;
            const auto result =
                agrees ? pool_.change(change) : Error{Errc::conflict, "another change came first"};
            if (answers) return done(result);
            done(Error{Errc::unknown, "no answer came"});
        });
    }
    // The pool agrees on this.
    void become(replication::PoolState next) { pool_.become(std::move(next)); }
    // This node hears now what it missed.
    void hear() {
        seen_ = pool_.value();
        if (changed_) changed_(seen_);
    }
    // How often a change of this kind was proposed.
    template <class One>
    std::size_t count_proposed() const {
        return static_cast<std::size_t>(
            std::count_if(proposed.begin(), proposed.end(),
                          [](const auto& change) { return std::holds_alternative<One>(change); }));
    }
    bool lease_live(BootTime, Duration) const override { return live; }
    bool unevictable() const override { return is_unevictable; }
    NodeId self() const override { return self_; }
    Incarnation incarnation() const override { return incarnation_; }

private:
    FakePool& pool_;
    replication::PoolState seen_;
    const NodeId self_;
    const Incarnation incarnation_;
    Executor& home_;
    UniqueFunction<void(const replication::PoolState&)> changed_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

inline void FakePool::become(replication::PoolState next) {
    next.version.value = value_.version.value + 1;
    value_ = std::move(next);
    for (auto* node : std::vector(nodes_)) {
        if (node->hears) node->hear();
    }
}

struct PoolOfOne {
    FakePool alone{with_partition(pool_of(1), {1})};
};

// The control plane of a pool of one, n1, with one partition.
class LoneControl final : private PoolOfOne, public FakeControl {
public:
    explicit LoneControl(Executor& home) : FakeControl(alone, test_node(1), first_start(1), home) {}
};

}  // namespace posthorse::tests
