// One start of a program on a machine, and the executors that its parts are given.
//
// Contract  What the process has posted runs while it lives; what comes while it is paused runs
//           late, in order, when it goes on. Its end is `kill -9`: nothing of it runs any more.
//           The disk's executor works one thing after another, at the pace that the machine's disk
//           has at that moment, and not at all while it hangs.
// Owner     Node, for one start.
#pragma once

#include <deque>
#include <memory>
#include <utility>

#include "tests/sim/world.h"

namespace posthorse::sim::pool {

class Process {
public:
    explicit Process(World& world) : world_(world) {}
    ~Process() { end(); }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    World& world() { return world_; }
    void after(Duration delay, UniqueFunction<void()> event) {
        world_.after(delay, [state = state_, event = std::move(event)]() mutable {
            run(*state, std::move(event));
        });
    }
    // Now, or after the pause.
    void run(UniqueFunction<void()> event) { run(*state_, std::move(event)); }

    void end() {
        state_->alive = false;
        auto late = std::exchange(state_->late, {});
    }
    void pause() { state_->paused = true; }
    void go_on() {
        const auto state = state_;
        state->paused = false;
        while (state->alive && !state->paused && !state->late.empty()) {
            auto event = std::move(state->late.front());
            state->late.pop_front();
            event();
        }
    }
    bool paused() const { return state_->paused; }

private:
    struct State {
        bool alive = true;
        bool paused = false;
        std::deque<UniqueFunction<void()>> late;
    };
    static void run(State& state, UniqueFunction<void()> event) {
        if (!state.alive) return;
        if (state.paused || !state.late.empty())
            state.late.push_back(std::move(event));
        else
            event();
    }

    World& world_;
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

// The event loop.
class HomeExecutor final : public Executor {
public:
    explicit HomeExecutor(Process& process) : process_(process) {}
    void post(UniqueFunction<void()> work) override { process_.after(Duration{}, std::move(work)); }

private:
    Process& process_;
};

// How fast a machine's disk is now.
struct DiskPace {
    Duration least{0};
    Duration most{4};
    bool hangs = false;
};

class DiskExecutor final : public Executor {
public:
    DiskExecutor(Process& process, const DiskPace& pace) : process_(process), pace_(pace) {}

    void post(UniqueFunction<void()> work) override {
        waiting_.push_back(std::move(work));
        if (!std::exchange(busy_, true)) begin();
    }

private:
    static constexpr Duration look_again{20};

    void begin() {
        process_.after(process_.world().between(pace_.least, pace_.most), [this] { finish(); });
    }
    void finish() {
        if (pace_.hangs) return process_.after(look_again, [this] { finish(); });
        auto work = std::move(waiting_.front());
        waiting_.pop_front();
        busy_ = !waiting_.empty();
        if (busy_) begin();
        work();
    }

    Process& process_;
    const DiskPace& pace_;
    std::deque<UniqueFunction<void()>> waiting_;
    bool busy_ = false;
};

}  // namespace posthorse::sim::pool
