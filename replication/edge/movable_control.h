// The control plane of a node whose pool may move: embedded now and on etcd later, or the other way
// round, under one port.
//
// Place     Between daemon/pool_membership.h and embedded_control.h, etcd_control.h, of which it
//           holds one. core/control_move.h says why nobody loses anything on the way.
// Contract  replication/membership_control.h. When the one in charge says `moved`, the other takes
//           over in a later step of home: what was asked for and not answered is answered there
//           (`unknown`, but for the move itself), who waits for a start or a leave goes on waiting,
//           and the watcher hears of the new one's values.
//           A node that was away when its pool moved finds no leader; it looks on etcd then, and
//           follows.
// Owner     node.cc. Every call on home.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "proto/types/executor.h"
#include "replication/core/control_move.h"
#include "replication/membership_control.h"

namespace posthorse::replication {

class MovableControl final : public MembershipControl {
public:
    using Made = Result<std::unique_ptr<MembershipControl>>;
    struct Makers {
        // From the node's disk.
        std::function<Made()> from_disk;
        // The other control plane goes on where one ended: its start() begins no incarnation.
        std::function<Made(PoolControl, Passed)> go_on;
        // The pool's value on etcd, whatever it says; null: nothing is known there. Not called when
        // nobody said where etcd is: leave it empty.
        std::function<void(std::function<void(Value)>)> look_on_etcd;
        std::function<void(ControlNotice)> notice;
        std::function<void(Error)> failed;  // go_on did: the node must not go on
    };

    static Result<std::unique_ptr<MovableControl>> open(Makers makers,
                                                        Executor& home,
                                                        const Clock& clock);

    // The one in charge has no more to decide, and everything that it said is on the disk.
    void moved(PoolControl to, Passed passed);

    void start(Completion<PoolState> done) override;
    const PoolState& read() const override { return now_->read(); }
    void watch(UniqueFunction<void(const PoolState&)> changed) override;
    void propose(Change change, Completion<> done) override;
    bool lease_live(BootTime now, Duration margin) const override {
        return now_->lease_live(now, margin);
    }
    bool unevictable() const override { return now_->unevictable(); }
    bool leased(BootTime now) const override { return now_->leased(now); }
    NodeId self() const override { return now_->self(); }
    Incarnation incarnation() const override { return now_->incarnation(); }
    void tick() override;
    void receive(const Header& header,
                 const Message& message,
                 UniqueFunction<void(Refusal)> verdict) override {
        now_->receive(header, message, std::move(verdict));
    }
    Refusal judge(const Header& header) const override { return now_->judge(header); }
    Header header(std::optional<NodeId> to) const override { return now_->header(to); }
    void leave(Completion<> done) override;
    const std::vector<PartitionId>& left_with() const override { return now_->left_with(); }
    Result<void> begin_without(const std::vector<NodeId>& others) override {
        return now_->begin_without(others);
    }
    const PoolState& committed() const override { return now_->committed(); }
    ControlStatus status() const override { return now_->status(); }
    Passed passed() const override { return now_->passed(); }
    void stop(UniqueFunction<void()> done) override;

private:
    struct Move {  // that somebody here asked for
        PoolControl to;
        std::shared_ptr<Completion<>> done;
    };

    MovableControl(Makers makers, Executor& home, const Clock& clock)
        : makers_(std::move(makers)), home_(home), clock_(clock) {}

    void take_over(PoolControl to, Passed passed);
    void retire();
    void begin();
    bool may_have_missed_a_move() const;
    void look();
    void found(const Value& on_etcd);

    const Makers makers_;
    Executor& home_;
    const Clock& clock_;
    std::unique_ptr<MembershipControl> now_;
    std::unique_ptr<MembershipControl> before_;  // until it has stopped
    UniqueFunction<void()> stopped_;
    bool moving_ = false;
    struct Next {
        PoolControl to;
        Passed passed;
    };
    std::optional<Next> next_;  // said while it was moving
    UniqueFunction<void(const PoolState&)> changed_;
    bool began_ = false;
    Completion<PoolState> started_;
    Completion<> left_;
    std::vector<Move> moves_;
    std::optional<BootTime> leaderless_since_;
    BootTime next_look_{};
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace posthorse::replication
