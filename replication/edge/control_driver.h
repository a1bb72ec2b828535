// What is around the core of a control plane, whichever it is: a disk, a clock, the queue's probe,
// the watcher, and whoever waits for an answer.
//
// Place     Under embedded_control.h and etcd_control.h, each of which says what its core wants
//           said, to peers or to etcd.
// Contract  Effects of the core are carried out in their order, those of one event before those of
//           the next: the watcher has stopped what this node does not own any more, and the record
//           is handed to the disk, before say(). start() completes when this incarnation is live in
//           its pool. The record is written on `disk`, everything else happens on home.
// Owner     node.cc. Every call on home. Outlives nothing that it was given.
// Errors    A write that fails calls `failed`: a node that cannot remember must not go on.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "proto/types/executor.h"
#include "replication/core/control_core.h"
#include "replication/edge/control_disk.h"
#include "replication/membership_control.h"

namespace posthorse::replication {

struct ControlPorts {
    Executor& home;
    Executor& disk;
    const Clock& clock;
    std::function<std::uint64_t()> random;
    std::function<void(Completion<>)> probe;  // a synced write of the queue's store
    std::function<void(ControlNotice)> notice;
    // This node must end, and begin as a new one: why. It is written down already.
    std::function<void(std::string)> stranger;
    std::function<void(Error)> failed;
    // Another control plane decides for the pool now, and nothing more is decided here. May be
    // empty.
    std::function<void(PoolControl, Passed)> moved;
};

template <class Core>
class ControlDriver : public MembershipControl {
public:
    using Effects = typename Core::Effects;

    void start(Completion<PoolState> done) override;
    const PoolState& read() const override { return core_.acting(); }
    void watch(UniqueFunction<void(const PoolState&)> changed) override {
        changed_ = std::move(changed);
    }
    void propose(Change change, Completion<> done) override;
    bool lease_live(BootTime now, Duration margin) const override {
        return !ended_ && core_.lease_live(now, margin);
    }
    bool leased(BootTime now) const override { return core_.leased(now); }
    NodeId self() const override { return core_.self(); }
    Incarnation incarnation() const override { return core_.incarnation(); }

    void tick() override;
    Header header(std::optional<NodeId> to) const override { return core_.header(to); }
    void leave(Completion<> done) override;
    const std::vector<PartitionId>& left_with() const override { return core_.left_with(); }
    Result<void> begin_without(const std::vector<NodeId>& others) override;
    const PoolState& committed() const override { return core_.committed(); }
    ControlStatus status() const override { return core_.status(now()); }
    Passed passed() const override { return {core_.record(), core_.lease()}; }

protected:
    ControlDriver(std::string directory,
                  ControlRecord record,
                  typename Core::Settings settings,
                  ControlPorts ports);
    // start() goes on with what was passed on: the record that the core was made with, and this.
    void go_on_with(Lease lease) { lease_ = lease; }

    // What the core wants said, of these effects.
    virtual void say(Effects& effects) = 0;

    BootTime now() const { return ports_.clock.boot(); }
    bool ended() const noexcept { return ended_; }
    Core& core() noexcept { return core_; }
    const Core& core() const noexcept { return core_; }
    // An event for the core, and what follows from it. Nothing goes in after the end.
    template <class Event>
    void tell(Event event) {
        if (ended_) return;
        Effects effects;
        event(core_, now(), effects);
        carry_out(std::move(effects));
    }
    void carry_out(Effects effects);
    // Nothing goes in or out any more: whoever waits for an answer gets the last.
    void end();
    template <class Call>
    auto while_alive(Call call) {
        return
            [alive = std::weak_ptr<char>(alive_), call = std::move(call)](auto&&... args) mutable {
                if (!alive.expired()) call(std::forward<decltype(args)>(args)...);
            };
    }

private:
    void carry_out_one(Effects effects);
    void write(ControlRecord record);
    void probe();
    void became_stranger(const std::string& why);
    void look_whether_moved();

    const std::string directory_;
    const ControlPorts ports_;
    Core core_;
    std::optional<Lease> lease_;  // of another control plane; until start()
    UniqueFunction<void(const PoolState&)> changed_;
    Completion<PoolState> started_;
    Completion<> left_;
    std::map<std::uint64_t, Completion<>> asked_;
    std::deque<Effects> effects_;
    bool carrying_out_ = false;
    bool ended_ = false;
    bool moved_ = false;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

// ------------------------------------------------------------------ events in

template <class Core>
ControlDriver<Core>::ControlDriver(std::string directory,
                                   ControlRecord record,
                                   typename Core::Settings settings,
                                   ControlPorts ports)
    : directory_(std::move(directory)),
      ports_(std::move(ports)),
      core_(std::move(record), std::move(settings), ports_.random) {}

template <class Core>
void ControlDriver<Core>::start(Completion<PoolState> done) {
    started_ = std::move(done);
    tell([this](Core& core, BootTime at, Effects& out) {
        if (const auto lease = std::exchange(lease_, {}))
            core.go_on(*lease, at, out);
        else
            core.start(at, out);
    });
}

template <class Core>
void ControlDriver<Core>::tick() {
    tell([](Core& core, BootTime at, Effects& out) { core.tick(at, out); });
}

template <class Core>
void ControlDriver<Core>::propose(Change change, Completion<> done) {
    if (ended_) return done(Error{Errc::unavailable, "this node stops"});
    Effects effects;
    const auto request = core_.propose(std::move(change), now(), effects);
    asked_.emplace(request, std::move(done));
    carry_out(std::move(effects));
}

template <class Core>
void ControlDriver<Core>::leave(Completion<> done) {
    if (started_)
        std::exchange(started_, {})(Error{Errc::cancelled, "this node stops before it began"});
    if (ended_) return done({});
    left_ = std::move(done);
    tell([](Core& core, BootTime at, Effects& out) { core.leave(at, out); });
}

template <class Core>
Result<void> ControlDriver<Core>::begin_without(const std::vector<NodeId>& others) {
    Effects effects;
    auto begun = core_.begin_without(others, now(), effects);
    carry_out(std::move(effects));
    return begun;
}

// ------------------------------------------------------------------ effects out

// What is called here may call back in: its effects wait for their turn.
template <class Core>
void ControlDriver<Core>::carry_out(Effects effects) {
    effects_.push_back(std::move(effects));
    if (std::exchange(carrying_out_, true)) return;
    while (!effects_.empty()) {
        auto next = std::move(effects_.front());
        effects_.pop_front();
        carry_out_one(std::move(next));
    }
    carrying_out_ = false;
}

template <class Core>
void ControlDriver<Core>::carry_out_one(Effects effects) {
    if (effects.changed && changed_) changed_(core_.acting());
    core_.acted_on(core_.acting().version);
    if (!effects.stranger.empty()) return became_stranger(effects.stranger);
    if (effects.write) write(*std::move(effects.write));
    say(effects);
    if (effects.probe) probe();
    for (auto& notice : effects.notices) ports_.notice(std::move(notice));
    for (auto& answer : effects.answers) {
        auto asked = asked_.extract(answer.request);
        if (asked.empty()) continue;
        asked.mapped()(answer.error ? Result<void>(*answer.error) : Result<void>());
    }
    if (started_ && core_.running()) std::exchange(started_, {})(core_.acting());
    if (effects.left && left_) std::exchange(left_, {})({});
    look_whether_moved();
}

template <class Core>
void ControlDriver<Core>::look_whether_moved() {
    const auto to = core_.gone_to();
    if (to && ports_.moved && !std::exchange(moved_, true)) ports_.moved(*to, passed());
}

// Disks block: not on home.
template <class Core>
void ControlDriver<Core>::write(ControlRecord record) {
    ports_.disk.post([this, record = std::move(record), directory = directory_, &home = ports_.home,
                      alive = std::weak_ptr<char>(alive_)] {
        auto stored = write_record(directory, record);
        home.post([this, alive, stored = std::move(stored)] {
            if (alive.expired() || ended_) return;
            if (!stored) {
                end();
                return ports_.failed(stored.error());
            }
            tell([](Core& core, BootTime at, Effects& out) { core.written(at, out); });
        });
    });
}

template <class Core>
void ControlDriver<Core>::probe() {
    ports_.probe(while_alive([this](const Result<void>& synced) {
        if (!synced) return;  // a store that failed: the lease ends
        tell([](Core& core, BootTime at, Effects& out) { core.probed(at, out); });
    }));
}

template <class Core>
void ControlDriver<Core>::end() {
    ended_ = true;
    for (auto& [request, done] : std::exchange(asked_, {}))
        done(Error{Errc::unknown, "this node ended before the pool answered"});
}

template <class Core>
void ControlDriver<Core>::became_stranger(const std::string& why) {
    end();
    if (auto marked = mark_stranger(directory_, why); !marked) return ports_.failed(marked.error());
    ports_.stranger(why);
}

}  // namespace posthorse::replication
